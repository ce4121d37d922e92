"""The error that ended a command, as it is printed with `--json`: on standard error, and alone there."""

from typing import Self

from pydantic import Field

from ckgit.errors import CkgitError, DesignError
from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.outputs.fields import Advice, Commands, PrintedDocument
from ckgit.formats.advice import commands
from ckgit.formats.problem import Problem


class DesignProblem(Frozen):
    """One thing wrong with a design."""

    file: str
    message: str
    path: str = Field(description="Dotted place in the design, e.g. controls.lr; empty for none.")
    line: int = Field(description="From 1; 0 is unknown.")
    column: int = Field(description="From 1; 0 is unknown.")
    warning: bool = Field(description="Whether it may be meant all the same.")

    @classmethod
    def of(cls, file: str, problem: Problem) -> Self:
        """A problem of a file."""
        return cls(file=file, **vars(problem))


class ErrorReport(Frozen):
    """What went wrong."""

    what: str
    code: int = Field(description="The exit code.")
    code_name: str = Field(description="Its name, e.g. jobs_failed.")
    where: str = Field(description="File, branch or job that it is about; empty where `what` says it.")
    state: str = Field(description="What is left, in words; empty where nothing needs to be said.")
    advice: Advice
    next: Commands
    problems: tuple[DesignProblem, ...] = Field(description="Of a design; empty for any other error.")

    @classmethod
    def of(cls, error: CkgitError) -> Self:
        """An error for programs."""
        found = error.problems if isinstance(error, DesignError) else ()
        return cls(
            what=error.what,
            code=int(error.code),
            code_name=error.code.name.lower(),
            where=error.where,
            state=error.state,
            advice=error.next,
            next=tuple(commands(error.next)),
            problems=tuple(DesignProblem.of(error.file, problem) for problem in found) if isinstance(error, DesignError) else (),
        )


class ErrorDocument(PrintedDocument):
    """The error that ended a command."""

    error: ErrorReport
