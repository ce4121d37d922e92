"""What is seen of a stage at one moment. All reading is done where it is made; what follows from it is `plan`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckgit.errors import CkgitError
from ckgit.experiment.jobs import Attempt, Ledger
from ckgit.experiment.scheduler import JobState, JobStatus
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.run.commits import NOTHING, Collected
from ckgit.orchestrators.run.monitor.submission import SubmissionPlan
from ckgit.orchestrators.run.stage import StageJobs

PATIENCE = 10  # times that it is looked again where nothing can be said now


class JobsSeen(NamedTuple):
    """The open attempts, as the last poll and what they left tell."""

    open: Sequence[Attempt]  # not known to have ended
    awaited: Sequence[Attempt]  # those of them whose end is waited for
    statuses: Mapping[str, JobStatus]  # by token
    by_state: Mapping[str, int]  # how many are open
    submission: SubmissionPlan  # what can be handed over now
    staggering: bool  # whether the scheduler takes some of many at a time, and more can follow at once
    settling: bool  # whether a job has just gone, of which a file system may still have to show what it left
    nap: float  # seconds before the next poll
    poll_seconds: float
    grace: float  # seconds that a file system may take
    polls: int  # since something was known of each

    @property
    def unknown(self) -> list[JobStatus]:
        """Of those that nothing can be said of."""
        return [status for attempt in self.open if (status := self.statuses.get(attempt.token)) and status.state is JobState.UNKNOWN]

    def state(self, attempt: Attempt) -> JobState | None:
        """What was seen of an attempt; None where that is to come."""
        status = self.statuses.get(attempt.token)
        return status.state if status else None


class ContinuationSeen(NamedTuple):
    """The job of ours that is to go on, as the scheduler tells."""

    status: JobStatus
    polls: int  # without an answer
    answered: bool = False  # whether this is the answer to a hand-over, and not to a poll
    secured: bool = False  # whether its stand-in was handed over


class StageObservation(NamedTuple):
    """What is seen now of a stage of an experiment: the branch, the work tree, the scheduler and what jobs left."""

    view: ExperimentView
    work: StageJobs
    tree: Ledger | None = None  # the ledger with the work tree that there is, or that would be made; None where no job is ever to run
    against: CkgitError | None = None  # why the jobs that are due must not be handed over
    outdated: bool = False  # whether the scripts of those would be other ones by the cluster profile as it is now
    jobs: JobsSeen | None = None  # None: the scheduler was not asked yet
    collected: Collected = NOTHING  # what ended jobs left
    continuation: ContinuationSeen | None = None  # None: the scheduler was not asked for it yet
