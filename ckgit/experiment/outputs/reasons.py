"""Why jobs failed or wait: `ckgit why --json`."""

from pydantic import Field

from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.outputs.fields import Ahead, PrintedDocument
from ckgit.experiment.outputs.standing import LeftToJob
from ckgit.experiment.state import State


class ExplainedJob(Frozen):
    """Why a job failed, waits or runs."""

    job: str = Field(description="Its name; its token where it is not in the ledger of the branch.")
    attempt: int = Field(description="1 for the first try; 0 where it was never submitted.")
    phase: str = Field(description="Of the ledger, or waiting.")
    failure: str | None = Field(description="Class of what went wrong, as in jobs.json.")
    reason: str = Field(description="One sentence, with what to do.")
    log: str | None = Field(description="Where the lines stand: a path of the branch, or an absolute path of the work tree.")
    lines: tuple[str, ...] = Field(description="The last ones of the log.")


class WhyDocument(PrintedDocument):
    """Every job that failed, was cancelled, is open, or waits to be submitted."""

    experiment: str
    lifecycle_state: State | None = Field(description="Null where its branch is gone.")
    left_to: LeftToJob | None = Field(description="Null where nobody but its user goes on.")
    ahead: Ahead
    jobs: tuple[ExplainedJob, ...]
