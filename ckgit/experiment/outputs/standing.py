"""Where an experiment stands: `ckgit status --json`."""

from typing import Self

from pydantic import Field

from ckgit.experiment.classify import JobCondition
from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.jobs import Ledger, LeftBy
from ckgit.experiment.outputs.events import OverallProgress
from ckgit.experiment.outputs.fields import Advice, Ahead, Commands, CommitId, Moment, PrintedDocument, Records, WhatHasIt, WhyClosed
from ckgit.experiment.outputs.outcomes import FailedJob
from ckgit.experiment.stage import Stage
from ckgit.experiment.state import State


class ConditionCounts(Frozen):
    """How many jobs stand where."""

    total: int = Field(description="Jobs that were submitted at least once.")
    conditions: dict[JobCondition, int] = Field(description="How many of them are in each condition; those that no job is in are absent.")


class StageCounts(ConditionCounts):
    """The same, of one stage."""

    stage: Stage


class OpenJob(Frozen):
    """A job that is not known to have ended."""

    job: str
    stage: Stage
    condition: JobCondition
    attempt: int = Field(description="1 for the first try.")
    token: str = Field(description="Name of the attempt at the scheduler.")
    seen: str | None = Field(description="What the scheduler says now: unseen, queued, running, gone or unknown; null: not asked.")
    detail: str = Field(description="The scheduler's reason, if it gives one.")


class LeftToJob(Frozen):
    """The job of `advance --detach`, which goes on with the experiment."""

    token: str
    cluster: str = Field(description="Name of the profile of the cluster that it is left to.")
    left_by: LeftBy | None = Field(description="Who left it; null where that is not recorded.")

    @classmethod
    def of(cls, ledger: Ledger | None) -> Self | None:
        """As a ledger has it."""
        found = ledger.detached if ledger else None
        return cls(token=found.token, cluster=ledger.cluster, left_by=found.left_by) if ledger and found else None


class ContinuingJob(LeftToJob):
    """The same, with what is seen of it now."""

    seen: str = Field(description="As of any other job.")
    detail: str


class UnlistedJob(Frozen):
    """A job that may still run and is in no ledger of the branch."""

    token: str
    work: str = Field(description="The work tree that it runs in.")
    cluster: str = Field(description="Name of the cluster profile.")
    seen: str
    commit: CommitId | None = Field(description="A commit that the branch has lost, and whose ledger lists it; null where there is none.")


class EditedFile(Frozen):
    """A file of ckgit's that is not as ckgit left it."""

    path: str
    hand: CommitId = Field(description="The newest commit by hand that touches it.")
    left: CommitId = Field(description="The commit of ckgit's that wrote it last.")
    records: str = Field(description="What that commit recorded.")
    gone: bool
    amended: bool = Field(description="Whether the commit by hand is one of ckgit's that was amended or rebased.")
    other: CommitId | None = Field(description="Where it merged steps that had gone on in two ways: the commit that was merged in.")


class RemovedFromDisk(Frozen):
    """What the branch says was taken off the disk."""

    commit: CommitId = Field(description="The newest step that says so.")
    folders: int = Field(description="Checkpoints and work trees.")
    left: int = Field(description="Of them that are there: a removal was cut short, or they were brought back.")


class StatusDocument(PrintedDocument):
    """Where an experiment stands."""

    experiment: str
    lifecycle_state: State
    commit: CommitId = Field(description="The tip of its branch; where that is gone, its last commit in what has it.")
    time: Moment = Field(description="Of that commit.")
    records: Records
    closed: WhyClosed
    kept: WhatHasIt
    cluster: str | None = Field(description="Name of the cluster profile; null before the first submission.")
    scheduler: str | None = Field(description="Null before the first submission.")
    work_tree: str | None = Field(description="Where its jobs run; null before the first submission.")
    stages: tuple[StageCounts, ...]
    totals: ConditionCounts = Field(description="Of all stages.")
    open: tuple[OpenJob, ...]
    failed: tuple[FailedJob, ...]
    stopped_early: dict[str, str] = Field(
        description="By training that made fewer steps than planned, and counts: at which step it stopped, and why."
    )
    progress: OverallProgress | None = Field(description="Null where no job is out, or none can be seen from here.")
    left_to: ContinuingJob | None = Field(description="Null where nobody but its user goes on.")
    accepted_missing: tuple[str, ...] = Field(description="Jobs that were passed over by --accept-missing.")
    cells: dict[str, dict[str, str]] = Field(
        description="By failed job of several cells: why each does not count; empty for one that does."
    )
    removed: RemovedFromDisk | None = Field(description="By `ckgit clean`, of an evaluated or analyzed experiment; else null.")
    unknown_jobs: tuple[UnlistedJob, ...]
    broken: str | None = Field(description="What is wrong with ckgit.toml.")
    by_hand: bool = Field(description="Whether the last commit is the user's own.")
    edited: tuple[EditedFile, ...]
    problem: str | None = Field(description="What is wrong with the design or its inputs, so that ckgit would not go on.")
    ahead: Ahead
    rewritten: CommitId | None = Field(description="Where ckgit left the branch, if that holds it no more.")
    advice: Advice
    next: Commands
