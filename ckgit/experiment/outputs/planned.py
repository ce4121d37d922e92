"""What a command would do next, as data: what `--dry-run` shows, and writes with `--json`."""

from collections.abc import Iterator

from pydantic import Field

from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.outputs.fields import PrintedDocument
from ckgit.experiment.state import State


class PlannedFile(Frozen):
    """A file that a commit would write or delete."""

    path: str = Field(description="In the lab.")
    bytes: int | None = Field(description="Its size; null where it would be deleted.")
    sha256: str | None = Field(description="Null where it would be deleted, or holds a time or a token, which are new each time.")


class PlannedCommit(Frozen):
    """A commit that would be made on the experiment's branch."""

    experiment: str
    records: Event = Field(description="What it records.")
    source: State | None = Field(description="The state before it; null for the first one.")
    target: State = Field(description="The state after it.")
    message: str = Field(description="TOKEN stands for what is drawn anew each time.")
    files: tuple[PlannedFile, ...]

    def lines(self) -> Iterator[str]:
        """The commit for people: its message, and each path with its size."""
        yield f"would commit to exp/{self.experiment}:"
        yield from (f"    {line}".rstrip() for line in self.message.splitlines())
        for file in self.files:
            yield f"  delete {file.path}" if file.bytes is None else f"  write  {file.path} ({file.bytes} bytes)"


class PlannedSubmission(Frozen):
    """A job that would be handed over, or an array of them."""

    jobs: tuple[str, ...]
    command: str
    answer: str = Field(description="What the scheduler says to it; empty where it is not asked.")
    scripts: tuple[str, ...] = Field(description="One a job.")


class PlannedStep(PrintedDocument):
    """What a command would do next."""

    experiment: str
    lifecycle_state: State | None = Field(
        description="As it is now, or on the remote's branch that it would first be brought up to; null where its branch is gone."
    )
    commits: tuple[PlannedCommit, ...] = ()
    submissions: tuple[PlannedSubmission, ...] = Field(
        default=(), description="What would be handed over of these commits; of an earlier one where there is none."
    )
    remarks: tuple[str, ...] = Field(default=(), description="What would be waited for, ended, or why nothing is to be done.")
