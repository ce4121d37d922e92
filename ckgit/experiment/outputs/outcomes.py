"""What a command came to that moves an experiment on: `advance`, `retry`, `cancel` and those of one step each."""

from typing import TYPE_CHECKING, Self

from pydantic import Field

from ckgit.experiment.classify import JobCondition
from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.outputs.fields import Advice, Commands, CommitId, PrintedDocument
from ckgit.experiment.outputs.refusals import ErrorReport
from ckgit.experiment.stage import Stage
from ckgit.experiment.state import State

if TYPE_CHECKING:  # `status` has no time for the ledger's model
    from ckgit.experiment.classify import AttemptOutline
    from ckgit.experiment.jobs import Attempt


class TakenCommit(Frozen):
    """A commit that the command made on the experiment's branch."""

    commit: CommitId
    records: Event = Field(description="What it records.")
    source: State | None = Field(description="The state before it; null for the first one.")
    target: State = Field(description="The state after it.")


class FailedJob(Frozen):
    """A job that ended badly, by its newest attempt."""

    job: str
    stage: Stage
    condition: JobCondition
    attempt: int = Field(description="1 for the first try.")
    token: str = Field(description="Name of the attempt at the scheduler.")
    failure: str | None = Field(description="Class of what went wrong, as in jobs.json.")
    reason: str | None = Field(description="One sentence; null where none is known.")

    @classmethod
    def of(cls, attempt: "Attempt | AttemptOutline", condition: JobCondition) -> Self:
        """The newest attempt at a job, and where that stands."""
        return cls(
            job=attempt.job,
            stage=attempt.stage,
            condition=condition,
            attempt=attempt.number,
            token=attempt.token,
            failure=attempt.failure,
            reason=attempt.reason,
        )


class Outcome(Frozen):
    """What the command came to."""

    experiment: str
    lifecycle_state: State | None = Field(description="As it is now; null where its branch is gone.")
    code: int = Field(description="The exit code.")
    code_name: str = Field(description="Its name, e.g. in_flight.")
    message: str
    advice: Advice
    next: Commands
    commits: tuple[TakenCommit, ...] = Field(description="That were made, in their order.")
    failed: tuple[FailedJob, ...] = Field(description="Jobs that are why it went no further.")


class OutcomeDocument(Outcome, PrintedDocument):
    """What a command on one experiment came to."""


class ErrorOutcome(Frozen):
    """An experiment for which the command ended with an error."""

    experiment: str
    error: ErrorReport


class OutcomesDocument(PrintedDocument):
    """What a command on several experiments came to."""

    experiments: tuple[Outcome | ErrorOutcome, ...]
