"""What is known of where an experiment stands."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ckgit.experiment.classify import AttemptOutline, JobCondition, LeftByOutline
from ckgit.experiment.stage import Stage
from ckgit.experiment.state import Kept, State
from ckgit.lab.history.hand_edits import HandEdit
from ckgit.orchestrators.engine.orphans import Orphan

if TYPE_CHECKING:
    from ckgit.experiment.outputs.events import OverallProgress
    from ckgit.lab.history.cleanings import RemovedNow
    from ckgit.lab.history.closings import Closing


class SeenNow(NamedTuple):
    """What a scheduler says now of a job that is out."""

    seen: str
    detail: str = ""


class ClassifiedJob(NamedTuple):
    """A job that was submitted, and where it stands."""

    condition: JobCondition
    attempt: AttemptOutline  # the newest one
    now: SeenNow | None = None  # of a job that is out


class LeftTo(NamedTuple):
    """The job of `advance --detach`."""

    token: str
    now: SeenNow
    left_by: LeftByOutline | None  # None where that is not recorded


class Overview(NamedTuple):
    """Where an experiment stands."""

    experiment: str
    state: State
    commit: str
    time: datetime.datetime  # of that commit
    event: str | None  # what the last commit of ckgit's recorded
    closing: Closing | None  # the step that closed it; None where it is open
    kept: Kept | None  # what has it, where its branch is gone
    cluster: str | None  # None before the first submission
    scheduler: str | None
    work_tree: str | None
    jobs: Sequence[ClassifiedJob]  # that were submitted
    progress: OverallProgress | None  # where jobs are out, and can be seen from here
    left_to: LeftTo | None  # the job that goes on
    accepted_missing: Sequence[str]
    cells: Mapping[str, Mapping[str, str]]  # by failed job of several cells: why each does not count; empty for one that does
    removed: RemovedNow | None  # what its branch says was taken off the disk; None where nothing was, or that matters to no step
    unknown_jobs: Sequence[Orphan]  # that run, and are not in the ledger
    broken: str | None  # what is wrong with ckgit.toml: where it is not TOML, jobs that are in no ledger are not found
    by_hand: bool  # whether the last commit is the user's
    edited: Sequence[HandEdit]  # files of ckgit's that are not as it left them; looked for where that, or a rewritten one, is at the tip
    problem: str | None  # what is wrong with the design or its inputs, so that ckgit would not go on; looked for as `edited`
    ahead: Sequence[str]  # a sentence on each remote's branch that has commits which this one lacks
    rewritten: str | None  # commit at which ckgit left the branch, where that holds it no more
    next: str

    def stages(self) -> dict[Stage, list[ClassifiedJob]]:
        """The jobs by stage."""
        found: dict[Stage, list[ClassifiedJob]] = {}
        for job in self.jobs:
            found.setdefault(job.attempt.stage, []).append(job)
        return found

    @property
    def open(self) -> list[ClassifiedJob]:
        """Jobs that are out."""
        return [job for job in self.jobs if job.condition.is_open]

    @property
    def failed(self) -> list[ClassifiedJob]:
        """Jobs that ended badly."""
        return [job for job in self.jobs if job.condition.is_bad]
