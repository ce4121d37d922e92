"""Seeing to it that a job goes on with an experiment that is left to its cluster; see detach.py."""

from __future__ import annotations

import math
from collections.abc import Callable

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.events import Waiting
from ckgit.experiment.jobs import Detached, FailureClass
from ckgit.experiment.scheduler import JobState, JobStatus
from ckgit.orchestrators.engine.experiment import CommitPlan, ExperimentView
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.engine.polling import Polling
from ckgit.orchestrators.run import commits
from ckgit.orchestrators.run.attempts import count_jobs
from ckgit.orchestrators.run.commits import Collected
from ckgit.orchestrators.run.detach import detached_of, end_detached, hand_over, is_alive, look_at, secure
from ckgit.orchestrators.run.monitor.monitor import Monitor
from ckgit.orchestrators.run.stage import StageJobs
from ckgit.orchestrators.run.work_tree import find_work_tree

LOOKS = 10  # times that it is looked again where nothing can be said now


def is_replaced(view: ExperimentView, options: AdvanceOptions) -> Polling[bool]:
    """Whether this is a job that the experiment was left to, and is not any more."""
    detached, ledger = view.ledger.detached if view.ledger else None, view.ledger
    if options.token is None or (detached and detached.token == options.token):
        return False
    if not ledger or not detached or detached.by != options.token:
        return True
    cluster, work = view.context.cluster, find_work_tree(ledger)
    while (seen := look_at(detached, cluster, work).statuses[detached.token].state) is JobState.UNKNOWN:
        yield cluster.poll_seconds or scheduler_for(cluster).poll_seconds
    return seen is not JobState.UNSEEN  # this job was ended after it had named the next one, and before it handed that over


def continue_on_cluster(
    view: ExperimentView, work: StageJobs, options: AdvanceOptions, monitor: Monitor, collected: Callable[[], Collected]
) -> Polling[CommitPlan | None]:
    """See to it that a job goes on when others have ended; the commit that must name it first, if it is not named yet.

    Args:
        collected: what the jobs that ended left, which goes into that commit.

    Raises:
        CkgitError: SLURM refuses that job, or does not say whether it has taken it.
    """
    ledger, planned = view.ledger, options.leave
    if not ledger or not planned:
        return None
    detached = ledger.detached
    if detached and detached.token != options.token and not planned.is_that_of(detached):
        end_detached(view, ledger)
        detached = None
    if not detached or detached.token == options.token:
        return _naming(view, work, options, collected())
    job_status = yield from _taken_over(view, work, options, monitor, detached)
    if job_status.state is JobState.GONE:
        return _naming(view, work, options, collected())
    if job_status.job_id:
        secure(view, detached, monitor.work, job_status.job_id)
    return None


def _taken_over(view: ExperimentView, work: StageJobs, options: AdvanceOptions, monitor: Monitor, detached: Detached) -> Polling[JobStatus]:
    """See to it that SLURM has the job that goes on: it is queued, runs, or has been and is gone.

    Raises:
        CkgitError: SLURM refuses it, or does not say for long whether it has taken it.
    """
    said = ""
    patience = max(LOOKS, math.ceil(3 * monitor.grace / monitor.poll_seconds))  # what sbatch leaves open is settled after the time of grace
    while True:
        look = look_at(detached, monitor.cluster, monitor.work)
        monitor.queries.update(look.queries)
        job_status = look.statuses[detached.token]
        if job_status.state is JobState.UNSEEN:
            job_status = _hand_over(view, work, options, monitor, detached)
        if is_alive(job_status) or job_status.state is JobState.GONE:
            return job_status
        patience -= 1
        if not patience and not options.token:  # a job of ours has all the time that it asked for
            raise _left_to_nobody(view, job_status)
        if job_status.detail != said:
            said = job_status.detail
            monitor.events.emit(Waiting(experiment=view.name, what=f"the job that is to go on: {said or job_status.state}"))
        yield monitor.poll_seconds


def _naming(view: ExperimentView, work: StageJobs, options: AdvanceOptions, collected: Collected) -> CommitPlan | None:
    detached = detached_of(view.name, options.leave, now(), by=options.token)
    return commits.left(view, work.workers, collected, view.ledger, detached) if view.ledger else None


def _hand_over(view: ExperimentView, work: StageJobs, options: AdvanceOptions, monitor: Monitor, detached: Detached) -> JobStatus:
    """Hand over the job that goes on: after others, or after a time where it can only be waited for room, or for an answer.

    Raises:
        CkgitError: it was refused.
    """
    waiting = [a for a in monitor.open if monitor.statuses[a.token].state is JobState.UNSEEN]
    ids = [
        job_id
        for a in monitor.open
        if (job_id := monitor.statuses[a.token].job_id) and monitor.statuses[a.token].state is not JobState.UNKNOWN
    ]
    # where something else can start when one job has ended, that end is worth a look
    any_of = bool(waiting) or (not options.sequential and bool(count_jobs(view.ledger, work.ahead).unsubmitted))
    delay = 0.0 if ids and not monitor.unknown else LOOKS * monitor.poll_seconds
    job_status = hand_over(view, detached, monitor.work, ids if not monitor.unknown else [], any_of=any_of, delay=delay)
    if job_status.ending and job_status.ending.failure is FailureClass.REFUSED:
        raise CkgitError(
            f"the job that is to go on was refused: {job_status.ending.sentence}",
            code=Exit.COMMAND_FAILED,
            where=view.name,
            state="its other jobs are in flight",
            next=f"mend `advance` in the cluster profile, or wait for the jobs: ckgit advance {view.name}",
        )
    return job_status


def _left_to_nobody(view: ExperimentView, job_status: JobStatus) -> CkgitError:
    return CkgitError(
        f"the job that is to go on was not taken, as far as is known: {job_status.detail or job_status.state}",
        code=Exit.UNKNOWN,
        where=view.name,
        state="its other jobs are in flight, and nobody goes on when they have ended",
        next=f"ckgit advance {view.name} --detach again, or ckgit advance {view.name} to wait for them",
    )
