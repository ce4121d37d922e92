"""What is seen of a stage at one moment. All reading is done where it is made; what follows from it is `plan`'s."""

from __future__ import annotations

from typing import NamedTuple

from ckgit.errors import CkgitError
from ckgit.experiment.jobs import Ledger
from ckgit.experiment.scheduler import JobStatus
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.run.commits import NOTHING, Collected
from ckgit.orchestrators.run.monitor.seen import JobsSeen
from ckgit.orchestrators.run.stage import StageJobs

PATIENCE = 10  # times that it is looked again where nothing can be said now


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
