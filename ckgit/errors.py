"""The one error a user sees, and the exit codes it can end in."""

from __future__ import annotations

from enum import IntEnum

from ckgit.formats.listing import first_of
from ckgit.formats.problem import Problem


class Exit(IntEnum):
    """Exit codes of the `ckgit` command."""

    DONE = 0
    GIT_STOPS = 1
    USAGE = 2
    INVALID_DESIGN = 3
    ILLEGAL_TRANSITION = 4
    BRANCH_MOVED = 5
    TOOL_MISSING = 6
    COMMAND_FAILED = 7
    EVIDENCE_MISSING = 8
    NOT_VERIFIED = 9
    IN_FLIGHT = 10
    JOBS_FAILED = 11
    NOT_APPROVED = 12
    BUG = 70
    UNKNOWN = 75
    INTERRUPTED = 130
    PIPE_CLOSED = 141  # what a shell reports of a program that wrote to a closed pipe: 128 + SIGPIPE


MEANING: dict[Exit, str] = {
    Exit.DONE: "done",
    Exit.GIT_STOPS: "a hook has found something, and git does not go on",
    Exit.USAGE: "not possible as it is asked for: the command line, a setting or a file of the lab is to be mended first",
    Exit.INVALID_DESIGN: "the design is invalid; every problem is listed",
    Exit.ILLEGAL_TRANSITION: "not a legal step from this state",
    Exit.BRANCH_MOVED: "other work is in the way: someone else was first at the branch or the work tree, or a checkout holds changes",
    Exit.TOOL_MISSING: "what is installed does not do: a tool, a plugin or ckgit itself is missing, broken or too old",
    Exit.COMMAND_FAILED: "git, a scheduler or the system refused or failed",
    Exit.EVIDENCE_MISSING: "what a step needs to see is not there, or not as it was left",
    Exit.NOT_VERIFIED: "what is recorded does not follow from what is in git; every finding is listed",
    Exit.IN_FLIGHT: "jobs are in flight; run the command again later",
    Exit.JOBS_FAILED: "jobs failed; `ckgit why` says how",
    Exit.NOT_APPROVED: "somebody whom the default branch names has to approve it first",
    Exit.BUG: "a bug in ckgit; a report file is written",
    Exit.UNKNOWN: "nothing can be said now, or from here; try again, or where the message says",
    Exit.INTERRUPTED: "interrupted; jobs that run go on, but those of `ckgit reproduce` are ended",
    Exit.PIPE_CLOSED: "whoever read the output has closed it",
}


class CkgitError(Exception):
    """What went wrong, where, what state is left, and the next command.

    Args:
        what: one sentence, without a final full stop.
        code: the exit code the command ends with.
        where: file, branch or job it is about; empty when `what` says it.
        state: what is left, e.g. "nothing was written".
        next: the next command or action for the user.
    """

    def __init__(self, what: str, *, code: Exit, where: str = "", state: str = "", next: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.code = code
        self.where = where
        self.state = state
        self.next = next

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        lines += [f"  state: {self.state}"] if self.state else []
        lines += [f"  next:  {self.next}"] if self.next else []
        return "\n".join(lines)


MOST_PROBLEMS, MORE_PROBLEMS = 50, "more (--json has them all)"


class DesignError(CkgitError):
    """Every problem of one design at once."""

    def __init__(self, problems: list[Problem], *, file: str, state: str = "nothing was written", next: str = "") -> None:
        self.problems = problems
        self.file = file
        text = "\n".join(first_of((p.at(file) for p in problems), MOST_PROBLEMS, more=MORE_PROBLEMS))
        count = f"{len(problems)} problem" + ("s" if len(problems) != 1 else "")
        super().__init__(
            f"{text}\n{count} in the design",
            code=Exit.INVALID_DESIGN,
            state=state,
            next=next or "mend the lines above, then run the command again",
        )
