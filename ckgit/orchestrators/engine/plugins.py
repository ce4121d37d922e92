"""The workers and the scheduler that an experiment names, found through entry points."""

from __future__ import annotations

from typing import cast

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.model import NONE, Stage, Summary
from ckgit.experiment.scheduler import Scheduler
from ckgit.experiment.tools.entry_points import every, likely, load
from ckgit.experiment.tools.workers import find_preparation, find_worker
from ckgit.experiment.worker import Evaluator, Preparation, Worker

SCHEDULERS = "ckgit.schedulers"
_SCHEDULER_PARTS = (
    *("name", "overlaps", "detaches", "poll_seconds", "grace_seconds"),
    *("submit", "poll", "shared_poll", "check_cancel", "cancel", "usage", "dry_run"),
)


def worker_for(summary: Summary, stage: Stage) -> Worker | None:
    """The worker of the tool that the design names for a stage; None where it names none.

    Raises:
        CkgitError: it is not installed, or cannot be loaded.
    """
    tool = summary.tools.of(stage)
    return None if tool == NONE else find_worker(tool, stage)


def preparation_for(summary: Summary) -> Preparation | None:
    """The worker that prepares the design's runs; None where it names none.

    Raises:
        CkgitError: it is not installed, or cannot be loaded.
    """
    tool = summary.tools.preparation
    return None if tool == NONE else find_preparation(tool)


def evaluation_for(summary: Summary) -> Evaluator | None:
    """The worker that evaluates; None where the design names none.

    Raises:
        CkgitError: it is not installed, or cannot be loaded.
    """
    return cast("Evaluator | None", worker_for(summary, Stage.EVALUATION))


def scheduler_for(cluster: Cluster) -> Scheduler:
    """The scheduler of a cluster profile.

    Raises:
        CkgitError: it is not installed, or cannot be loaded.
    """
    entry = next((each for each in likely(SCHEDULERS, cluster.scheduler) if each.name == cluster.scheduler), None)
    if not entry:
        known = sorted({each.name for each in every(SCHEDULERS)})
        raise CkgitError(
            f"there is no scheduler {cluster.scheduler!r} (installed: {', '.join(known)})",
            code=Exit.TOOL_MISSING,
            next="name one of these in ckgit.toml, or install the package that brings it",
        )
    return cast("Scheduler", load(entry, _SCHEDULER_PARTS))
