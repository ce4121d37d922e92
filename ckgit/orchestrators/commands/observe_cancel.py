"""Looking at jobs that are to be cancelled, as far as anything can be seen of them; nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError
from ckgit.experiment.classify import JobCondition, classify, newest
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt
from ckgit.experiment.scheduler import JobState
from ckgit.experiment.worker import Worker
from ckgit.jobs.folder import read_status
from ckgit.orchestrators.commands.cancellable import cannot_end
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.options import Selection
from ckgit.orchestrators.engine.orphans import Orphan
from ckgit.orchestrators.engine.partial_view import PartialView
from ckgit.orchestrators.engine.plugins import scheduler_for, worker_for


class CancelObservation(NamedTuple):
    """What is seen of the jobs that are meant, as far as anything can be seen."""

    found: PartialView
    selection: Selection
    chosen: Sequence[Attempt]  # the latest attempts at the jobs that are meant
    states: Mapping[str, JobState]  # by token, of those that are open or were cancelled
    mute: frozenset[str]  # tokens of those that are gone and whose status cannot be read: it is waited for in vain
    lost: str = ""  # why nobody can ask the jobs any more, as their user says
    against: CkgitError | None = None  # why they cannot be ended from here

    @property
    def others(self) -> list[Orphan]:
        """Jobs that are meant and not in the ledger."""
        return _unknown(self.found, self.selection)


def observe_cancel(found: PartialView, selection: Selection, lost: str = "") -> CancelObservation:
    """Look at the jobs that are meant.

    Args:
        lost: why nobody can ask them any more; empty where they are to be cancelled.

    Raises:
        CkgitError: there is no such run or job, or the scheduler cannot be asked.
    """
    chosen = _chosen(found, selection)
    states = _seen(found, [attempt for attempt in chosen if classify(attempt).is_open or classify(attempt) is JobCondition.CANCELLED])
    gone = [attempt for attempt in chosen if classify(attempt).is_open and states.get(attempt.token) is JobState.GONE]
    mute = frozenset(attempt.token for attempt in gone if not _tells(found, attempt))
    out = [attempt for attempt in chosen if classify(attempt).is_open and attempt not in gone]
    return CancelObservation(found, selection, chosen, states, mute, lost, None if lost else cannot_end(found, out, states))


def _unknown(found: PartialView, selection: Selection) -> list[Orphan]:
    """Jobs that are not in the ledger: those that the branch has lost, or one that is named by its token. Others are another clone's."""
    if selection == Selection():
        return [orphan for orphan in found.orphans if orphan.commit]
    return [orphan for orphan in found.orphans if orphan.token == selection.job]


def _chosen(found: PartialView, selection: Selection) -> list[Attempt]:
    """The latest attempts at the jobs that are meant.

    Raises:
        CkgitError: there is no such run or job.
    """
    latest = newest(found.ledger.attempts if found.ledger else ())
    workers = workers_of(found.view)
    planned = [job.name for worker in workers.values() for job in worker.jobs(found.view.context)] if found.view else []
    jobs = list(dict.fromkeys([*planned, *latest]))
    runs = list(dict.fromkeys([*_runs(found), *(job.partition("/")[0] for job in jobs)]))
    if not runs and found.problem and selection != Selection() and not _unknown(found, selection):
        raise found.problem  # which runs there are cannot be seen
    if not selection.is_known(runs, jobs) and not _unknown(found, selection):
        raise selection.not_found(found.name, runs, jobs)
    return [attempt for job, attempt in latest.items() if selection.means(job)]


def _runs(found: PartialView) -> list[str]:
    """Names of the runs, as far as the design can be read."""
    if found.view:
        return [run.name for run in found.view.context.plan.runs]
    try:
        return [run.name for run in build_plan(found.snapshot.summary.summary).runs] if found.snapshot else []
    except CkgitError:
        return []


def _seen(found: PartialView, attempts: Sequence[Attempt]) -> Mapping[str, JobState]:
    if not attempts or not found.ledger or not found.ledger.work_tree:
        return {}
    scheduler = scheduler_for(found.cluster)
    statuses = scheduler.poll(found.cluster, Path(found.ledger.work_tree), attempts).statuses
    return {token: job_status.state for token, job_status in statuses.items()}


def _tells(found: PartialView, attempt: Attempt) -> bool:
    """Whether a job that is gone can ever be judged: where its status cannot be read, that is waited for in vain."""
    try:
        read_status(Path(found.ledger.work_tree if found.ledger else ""), attempt.token)
    except ValueError:
        return True  # it is damaged, and the job counts as lost
    except OSError:
        return False
    return True


def workers_of(view: ExperimentView | None) -> Mapping[Stage, Worker]:
    """The workers of an experiment; none where its design cannot be read."""
    if not view:
        return {}
    return {stage: worker for stage in Stage if (worker := worker_for(view.context.summary, stage))}
