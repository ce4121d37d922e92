"""What happens while a command works on an experiment. `ckgit advance --events` writes these as lines of JSON."""

from typing import Literal

from pydantic import Field

from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.outputs.fields import Advice, Commands, CommitId, Moment
from ckgit.experiment.state import State


class Happened(Frozen):
    """What all events have."""

    time: Moment | None = Field(default=None, description="When it was told.")
    experiment: str


class Committed(Happened):
    """A commit was made on the experiment's branch."""

    event: Literal["committed"] = "committed"
    commit: CommitId
    records: Event = Field(description="What it records.")
    source: State | None = Field(description="The state before it; null for the first one.")
    target: State = Field(description="The state after it.")


class JobStateChanged(Happened):
    """Jobs are in another state than at the last poll."""

    event: Literal["job-state-changed"] = "job-state-changed"
    jobs: tuple[str, ...]
    seen: str = Field(description="What the scheduler says now: unseen, queued, running or unknown.")
    detail: str = Field(default="", description="The scheduler's reason, if it gives one.")


class JobEnded(Happened):
    """Jobs are over."""

    event: Literal["job-ended"] = "job-ended"
    jobs: tuple[str, ...]
    exit_code: int | None = Field(default=None, description="As the jobs themselves wrote it down; null where they did not.")
    failure: str | None = Field(default=None, description="Class of a failure that the scheduler tells, or that follows from the silence.")
    reason: str = ""
    seconds: tuple[float | None, ...] = Field(
        default=(), description="How long each took, in their order; null where it wrote nothing down."
    )


class Polled(Happened):
    """The scheduler was asked."""

    event: Literal["polled"] = "polled"
    open: dict[str, int] = Field(description="Jobs that have not ended, by where they stand (queued, running, not handed over yet, …).")
    ended: int = Field(description="Jobs that have ended since this command follows them.")


class JobProgress(Frozen):
    """How far a running job is."""

    job: str
    elapsed: float = Field(description="Seconds since it started.")
    loading: bool = Field(default=False, description="Whether it has made no step yet.")
    step: int | None = None
    steps: int | None = None
    loss: float | None = None
    rate: float | None = Field(default=None, description="Steps a second.")
    seconds_left: float | None = None
    note: str = Field(default="", description="What a step is, where it is not one of the optimizer.")


class OverallProgress(Frozen):
    """How far an experiment is, and each of its running jobs."""

    done: int = Field(description="Jobs that are done, of all stages.")
    failed: int = Field(description="Jobs that have failed or were cancelled.")
    total: int = Field(description="All jobs of the experiment, without those that were passed over.")
    seconds_left: float | None = Field(
        default=None, description="Until all have ended, if as many run at a time as now; null where that cannot be told."
    )
    jobs: tuple[JobProgress, ...] = Field(default=(), description="Those that run.")


class Progressed(Happened):
    """How far the experiment is."""

    event: Literal["progressed"] = "progressed"
    progress: OverallProgress | None = Field(default=None, description="Null where its jobs are not followed any more.")


class Waiting(Happened):
    """Something other than jobs is waited for."""

    event: Literal["waiting"] = "waiting"
    what: str


class Noted(Happened):
    """Something that the user should know."""

    event: Literal["noted"] = "noted"
    text: str


class Refused(Happened):
    """The command cannot go on; it ends with this error."""

    event: Literal["refused"] = "refused"
    code: int = Field(description="The exit code.")
    what: str
    where: str = ""
    state: str = Field(default="", description="What is left, in words.")
    advice: Advice
    next: Commands


class Finished(Happened):
    """The command has come to its end."""

    event: Literal["finished"] = "finished"
    lifecycle_state: State | None = Field(description="As it is now; null where its branch is gone.")
    code: int = Field(description="The exit code.")
    message: str
    advice: Advice
    next: Commands


EngineEvent = Committed | JobStateChanged | JobEnded | Polled | Progressed | Waiting | Noted | Refused | Finished
