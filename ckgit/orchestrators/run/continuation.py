"""Seeing to it that a job goes on with an experiment that is left to its cluster; see detach.py."""

from __future__ import annotations

import math
from collections.abc import Callable

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.jobs import Detached, FailureClass
from ckgit.experiment.scheduler import Seen, Sighting
from ckgit.orchestrators.engine.experiment import Standing, Step
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.engine.polling import Going
from ckgit.orchestrators.run import commits
from ckgit.orchestrators.run.attempts import tally
from ckgit.orchestrators.run.commits import Harvest
from ckgit.orchestrators.run.detach import detached_of, end_detached, hand_over, is_alive, look_at, secure
from ckgit.orchestrators.run.monitor import Watch
from ckgit.orchestrators.run.stage import Stagework, Wish
from ckgit.orchestrators.run.work_tree import find_work_tree

LOOKS = 10  # times that it is looked again where nothing can be said now


def is_replaced(standing: Standing, wish: Wish) -> Going[bool]:
    """Whether this is a job that the experiment was left to, and is not any more."""
    detached, ledger = standing.ledger.detached if standing.ledger else None, standing.ledger
    if wish.token is None or (detached and detached.token == wish.token):
        return False
    if not ledger or not detached or detached.by != wish.token:
        return True
    cluster, work = standing.context.cluster, find_work_tree(ledger)
    while (seen := look_at(detached, cluster, work).sightings[detached.token].seen) is Seen.UNKNOWN:
        yield cluster.poll_seconds or scheduler_for(cluster).poll_seconds
    return seen is not Seen.UNSEEN  # this job was ended after it had named the next one, and before it handed that over


def leave(standing: Standing, work: Stagework, wish: Wish, watch: Watch, harvest: Callable[[], Harvest]) -> Going[Step | None]:
    """See to it that a job goes on when others have ended; the commit that must name it first, if it is not named yet.

    Args:
        harvest: what the jobs that ended left, which goes into that commit.

    Raises:
        CkgitError: SLURM refuses that job, or does not say whether it has taken it.
    """
    ledger, planned = standing.ledger, wish.leave
    if not ledger or not planned:
        return None
    detached = ledger.detached
    if detached and detached.token != wish.token and not planned.is_that_of(detached):
        end_detached(standing, ledger)
        detached = None
    if not detached or detached.token == wish.token:
        return _naming(standing, work, wish, harvest())
    sighting = yield from _taken_over(standing, work, wish, watch, detached)
    if sighting.seen is Seen.GONE:
        return _naming(standing, work, wish, harvest())
    if sighting.job_id:
        secure(standing, detached, watch.work, sighting.job_id)
    return None


def _taken_over(standing: Standing, work: Stagework, wish: Wish, watch: Watch, detached: Detached) -> Going[Sighting]:
    """See to it that SLURM has the job that goes on: it is queued, runs, or has been and is gone.

    Raises:
        CkgitError: SLURM refuses it, or does not say for long whether it has taken it.
    """
    said = ""
    patience = max(LOOKS, math.ceil(3 * watch.grace / watch.poll_seconds))  # what sbatch leaves open is settled after the time of grace
    while True:
        look = look_at(detached, watch.cluster, watch.work)
        watch.queries.update(look.queries)
        sighting = look.sightings[detached.token]
        if sighting.seen is Seen.UNSEEN:
            sighting = _hand_over(standing, work, wish, watch, detached)
        if is_alive(sighting) or sighting.seen is Seen.GONE:
            return sighting
        patience -= 1
        if not patience and not wish.token:  # a job of ours has all the time that it asked for
            raise _left_to_nobody(standing, sighting)
        if sighting.detail != said:
            said = sighting.detail
            watch.talk.say(f"the job that is to go on: {said or sighting.seen}")
        yield watch.poll_seconds


def _naming(standing: Standing, work: Stagework, wish: Wish, harvest: Harvest) -> Step | None:
    detached = detached_of(standing.name, wish.leave, now(), by=wish.token)
    return commits.left(standing, work.workers, harvest, standing.ledger, detached) if standing.ledger else None


def _hand_over(standing: Standing, work: Stagework, wish: Wish, watch: Watch, detached: Detached) -> Sighting:
    """Hand over the job that goes on: after others, or after a time where it can only be waited for room, or for an answer.

    Raises:
        CkgitError: it was refused.
    """
    waiting = [a for a in watch.open if watch.seen[a.token].seen is Seen.UNSEEN]
    ids = [job_id for a in watch.open if (job_id := watch.seen[a.token].job_id) and watch.seen[a.token].seen is not Seen.UNKNOWN]
    # where something else can start when one job has ended, that end is worth a look
    any_of = bool(waiting) or (not wish.sequential and bool(tally(standing.ledger, work.ahead).unsubmitted))
    delay = 0.0 if ids and not watch.unknown else LOOKS * watch.poll_seconds
    sighting = hand_over(standing, detached, watch.work, ids if not watch.unknown else [], any_of=any_of, delay=delay)
    if sighting.ending and sighting.ending.failure is FailureClass.REFUSED:
        raise CkgitError(
            f"the job that is to go on was refused: {sighting.ending.sentence}",
            code=Exit.COMMAND_FAILED,
            where=standing.name,
            state="its other jobs are in flight",
            next=f"mend `advance` in the cluster profile, or wait for the jobs: ckgit advance {standing.name}",
        )
    return sighting


def _left_to_nobody(standing: Standing, sighting: Sighting) -> CkgitError:
    return CkgitError(
        f"the job that is to go on was not taken, as far as is known: {sighting.detail or sighting.seen}",
        code=Exit.UNKNOWN,
        where=standing.name,
        state="its other jobs are in flight, and nobody goes on when they have ended",
        next=f"ckgit advance {standing.name} --detach again, or ckgit advance {standing.name} to wait for them",
    )
