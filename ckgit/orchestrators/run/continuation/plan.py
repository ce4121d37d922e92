"""What is next for the job of ours that goes on with an experiment which is left to its cluster; see job.py."""

from __future__ import annotations

import math

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.jobs import Detached
from ckgit.experiment.scheduler import JobState, JobStatus
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.run import commits
from ckgit.orchestrators.run.attempts import count_jobs, detached_of
from ckgit.orchestrators.run.continuation.job import is_alive
from ckgit.orchestrators.run.decisions import Commit, Continue, Decision, Poll, Refuse, Secure, Subject
from ckgit.orchestrators.run.monitor.seen import JobsSeen
from ckgit.orchestrators.run.observation import PATIENCE, ContinuationSeen, StageObservation


def plan_continuation(seen: StageObservation, options: AdvanceOptions, jobs: JobsSeen) -> Decision | None:
    """What sees to it that a job goes on when others have ended; None where nothing is to be done for that any more.

    It is named in a commit, then handed over, then secured by a stand-in.
    """
    detached = seen.view.ledger.detached if seen.view.ledger else None
    if not detached or detached.token == options.token:
        return _naming(seen, options)
    if options.continuation and not options.continuation.is_that_of(detached):
        return _naming(seen, options, instead=detached)
    found = seen.continuation
    if not found:
        return Poll(Subject.CONTINUATION)
    state = found.status.state
    if state is JobState.GONE:
        return _naming(seen, options)
    if state is JobState.UNSEEN and not found.answered:
        return _hand_over(seen, options, jobs)
    if is_alive(found.status):
        return None if found.secured or not found.status.job_id else Secure(found.status.job_id)
    return _wait_for(seen.view, found, options, jobs)


def _naming(seen: StageObservation, options: AdvanceOptions, instead: Detached | None = None) -> Commit | None:
    """The commit that names the job. What jobs left until now goes into it, too.

    Args:
        instead: a job that was told something else.
    """
    view = seen.view
    if not view.ledger:
        return None
    detached = detached_of(view.name, options, view.ledger.detached, now())
    replaced = [[attempt] for attempt in reversed(instead.attempts)] if instead else []
    return Commit(commits.left(view, seen.work.workers, seen.collected, view.ledger, detached), replaces=replaced)


def _hand_over(seen: StageObservation, options: AdvanceOptions, jobs: JobsSeen) -> Continue:
    """It starts after others, or after a time where it can only be waited for room, or for an answer."""
    waiting = any(jobs.state(attempt) is JobState.UNSEEN for attempt in jobs.open)
    ids = [status.job_id for attempt in jobs.open if (status := jobs.statuses.get(attempt.token)) and status.job_id]
    after = [] if jobs.unknown else ids
    # where something else can start when one job has ended, that end is worth a look
    any_of = waiting or (not options.sequential and bool(count_jobs(seen.view.attempts, seen.work.ahead).unsubmitted))
    return Continue(after, any_of, delay=0.0 if after else PATIENCE * jobs.poll_seconds)


def _wait_for(view: ExperimentView, found: ContinuationSeen, options: AdvanceOptions, jobs: JobsSeen) -> Poll | Refuse:
    """What sbatch leaves open is settled after the time of grace. A job of ours has all the time that it asked for."""
    patience = max(PATIENCE, math.ceil(3 * jobs.grace / jobs.poll_seconds))
    if found.polls >= patience and not options.token:
        return Refuse(_left_to_nobody(view, found.status))
    return Poll(Subject.CONTINUATION, after=jobs.poll_seconds)


def _left_to_nobody(view: ExperimentView, job_status: JobStatus) -> CkgitError:
    return CkgitError(
        f"the job that is to go on was not taken, as far as is known: {job_status.detail or job_status.state}",
        code=Exit.UNKNOWN,
        where=view.name,
        state="its other jobs are in flight, and nobody goes on when they have ended",
        next=f"ckgit advance {view.name} --detach again, or ckgit advance {view.name} to wait for them",
    )
