"""run-experiment: take one stage from its scripts to its evidence.

Intent first, in a commit; then the hand-over; then the wait; then the judgement, in a commit. Each part begins with what
the branch and the scheduler say, so it does not matter which process did the part before, or whether it lived to its end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.experiment.cluster import with_limits
from ckgit.experiment.design import Stage, State
from ckgit.experiment.errors import CkgitError, Exit
from ckgit.experiment.jobs import Detached, FailureClass, Job, Ledger, Phase, Usage
from ckgit.experiment.lifecycle import ORDER, Event
from ckgit.experiment.worker import Seen, Sighting, Worker
from ckgit.lab import authority
from ckgit.lab.lab import open_lab
from ckgit.orchestrators import steps
from ckgit.orchestrators.attempts import Tally, Tries, describe, latest_attempts, passed_over, tally
from ckgit.orchestrators.collect import Judged, judge
from ckgit.orchestrators.costs import lacking
from ckgit.orchestrators.detach import Leave, detached_of, end_detached, hand_over, is_alive, look_at, secure
from ckgit.orchestrators.going import Going
from ckgit.orchestrators.logs import now
from ckgit.orchestrators.place import refuse_misled
from ckgit.orchestrators.plugins import scheduler_for, worker_for
from ckgit.orchestrators.rebatch import bring
from ckgit.orchestrators.standing import Moved, Standing, Step, Taken, check_unmoved, stand, take
from ckgit.orchestrators.steps import NOTHING, Harvest
from ckgit.orchestrators.talk import Talk
from ckgit.orchestrators.watch import Watch
from ckgit.orchestrators.worktree import find_work_tree, make_work_tree

_LISTED = 20  # reasons in an error
_LOOKS = 10  # times that it is looked again where nothing can be said now
STAGES: Mapping[State, Stage] = {State.SCAFFOLDED: Stage.TRAINING, State.TRAINED: Stage.EVALUATION}


class Wish(NamedTuple):
    """How a stage is to be run."""

    wait: bool = True
    accept_missing: bool = False
    run: str | None = None  # only the jobs of this run; the experiment moves on when they were the last ones
    sequential: bool = False  # no evaluation before all training is done
    detach: State | None = None  # leave the rest, up to this state, to a job of ours
    token: str | None = None  # of that job, where it is the one that asks

    @property
    def leave(self) -> Leave | None:
        """How the experiment is to be left to its cluster; None where it is not."""
        return Leave(self.detach, self.sequential, self.accept_missing) if self.detach else None


class Passage(NamedTuple):
    """What came of it."""

    code: Exit
    taken: Sequence[Taken]
    message: str
    next: str = ""


class Stagework(NamedTuple):
    """A stage of an experiment: who does it, and its jobs."""

    stage: Stage
    worker: Worker | None  # None when the design names no tool for it
    jobs: Sequence[Job]  # those that can be run
    over: Sequence[Job]  # those that cannot, as the training of their run was passed over
    ahead: Sequence[Job] = ()  # evaluations, while the stage is training: each may start when its run is trained
    workers: Mapping[Stage, Worker] = {}

    @property
    def all(self) -> Sequence[Job]:
        """The jobs of the stage, and those that may be run ahead of theirs."""
        return [*self.jobs, *self.ahead]

    def selected(self, run: str | None) -> Sequence[Job]:
        """The jobs of one run, or all."""
        return [job for job in self.jobs if run in (None, job.run)]


def stagework(standing: Standing) -> Stagework:
    """The stage that comes next.

    Raises:
        CkgitError: no stage is run from this state, or its worker is not installed.
    """
    state = standing.snapshot.state
    if state not in STAGES:
        raise CkgitError(
            f"{standing.name} is {state}; jobs run when it is {' or '.join(STAGES)}",
            code=Exit.ILLEGAL_TRANSITION,
            state="nothing was changed",
            next=f"ckgit status {standing.name}",
        )
    stage = STAGES[state]
    workers = {each: worker for each in Stage if (worker := worker_for(standing.context.summary, each))}
    jobs = {each: worker.jobs(standing.context) for each, worker in workers.items()}
    mine = jobs.get(stage, [])
    over = passed_over(mine, standing.ledger)
    ahead = jobs.get(Stage.EVALUATION, []) if stage is Stage.TRAINING else []
    return Stagework(stage, workers.get(stage), [job for job in mine if job not in over], over, ahead, workers)


def run_stage(standing: Standing, wish: Wish, talk: Talk) -> Going[Passage]:
    """Submit what was not, wait, judge, and pass the stage or say why not.

    Raises:
        CkgitError: someone else moved the branch, evidence of the stage before is missing, or a command failed.
    """
    refuse_misled(standing)
    work = stagework(standing)
    if not work.worker or not work.jobs:
        return _passed([take(standing, steps.nothing_to_do(standing, work.stage, work.worker, work.over), talk)])
    taken: list[Taken] = []
    if due := due_jobs(standing, work, wish):
        ledger = make_work_tree(standing)
        check_ready(standing, work, due, Path(ledger.work_tree))
        taken.append(take(standing, submission(standing, work, wish, due, ledger), talk))
        standing = stand(standing.lab, standing.name)
    return (yield from finish(standing, wish, talk, taken))


def due_jobs(standing: Standing, work: Stagework, wish: Wish, ledger: Ledger | None = None) -> list[Job]:
    """Jobs that are to be submitted now: the stage's own, and evaluations whose run is trained, or needs no training.

    Args:
        ledger: instead of the branch's, with what is known since.
    """
    ledger = ledger or standing.ledger
    own = list(tally(ledger, work.selected(wish.run)).unsubmitted)
    if wish.sequential or not scheduler_for(standing.context.cluster).overlaps:
        return own
    waiting = {job.run for job in work.jobs} - {attempt.job.partition("/")[0] for attempt in tally(ledger, work.jobs).done}
    ahead = [job for job in work.ahead if job.run not in waiting and wish.run in (None, job.run)]
    return [*own, *tally(ledger, ahead).unsubmitted]


def submission(standing: Standing, work: Stagework, wish: Wish, jobs: Sequence[Job], ledger: Ledger, harvest: Harvest = NOTHING) -> Step:
    """The intent to run jobs, with what others left until now."""
    cluster = standing.context.cluster
    array = min(cluster.max_array_size, max((cluster.max_submit or cluster.max_array_size) // 2, 1)) if cluster.arrays else 1
    tries = Tries(now(), latest_attempts(ledger), array)
    detached = detached_of(standing.name, wish.leave, tries.time, by=wish.token)
    return steps.submission(standing, Event.SUBMIT, work.workers, jobs, ledger, tries, harvest=harvest, detached=detached)


def finish(standing: Standing, wish: Wish, talk: Talk, taken: Sequence[Taken]) -> Going[Passage]:
    """See the open attempts to their end, whoever made them, and commit what they left."""
    authority.push(standing.lab, standing.name, standing.snapshot.tip)  # an intent is handed over once the authority has it
    taken = list(taken)
    if standing.ledger and standing.ledger.detached and not wish.detach:  # from now on this command goes on
        end_detached(standing, standing.ledger)
        workers = stagework(standing).workers
        taken.append(take(standing, steps.left(standing, workers, NOTHING, standing.ledger, None), talk))
        standing = stand(standing.lab, standing.name)
    while True:
        work = stagework(standing)
        watch = start_watch(standing, work, wish.run, talk)
        _bring_retried(standing, watch)
        follow = Follow(standing, work, wish, watch)
        try:
            yield from follow.see_to_the_end()
        except Moved:
            standing = _follow(standing, watch)
            continue
        except KeyboardInterrupt:
            raise _detached(standing, watch) from None
        finally:
            talk.progress(None)
        step = follow.meanwhile()
        if not step and watch.awaited and wish.detach:
            step = yield from leave(standing, work, wish, follow)
        if step:
            taken.append(take(standing, step, talk))
            standing = stand(standing.lab, standing.name)
        elif watch.awaited:
            return _in_flight(standing, watch, taken)
        else:
            step, passage = conclude(standing, work, wish, follow.harvest())
            return passage._replace(taken=[*taken, *([take(standing, step, talk)] if step else [])])


def _bring_retried(standing: Standing, watch: Watch) -> None:
    retried = [watch.jobs[attempt.job] for attempt in watch.attempts if attempt.number > 1]
    if retried:
        bring(standing, watch.workers, retried, watch.work)


def start_watch(standing: Standing, work: Stagework, run: str | None, talk: Talk) -> Watch:
    """The open attempts of an experiment, in its work tree; those of the stage that comes next are waited for."""
    if not standing.ledger or not work.worker:
        raise CkgitError(
            f"no job of {standing.name} was ever submitted", code=Exit.ILLEGAL_TRANSITION, next=f"ckgit advance {standing.name}"
        )
    refuse_misled(standing)
    cluster = standing.context.cluster
    return Watch(
        workers=work.workers,
        context=standing.context,
        cluster=cluster,
        refresh=lambda: with_limits(cluster, open_lab(standing.lab.root).cluster(standing.context.cluster_name)),
        scheduler=scheduler_for(cluster),
        work=find_work_tree(standing.ledger),
        jobs={job.name: job for job in work.all},
        attempts=tally(standing.ledger, work.all).open,
        wanted=frozenset(attempt.token for attempt in tally(standing.ledger, work.selected(run)).open),
        talk=talk,
        detached=int(standing.ledger.detached is not None),
    )


class Follow:
    """One command's wait for the jobs of an experiment at one commit, and what is to be committed before they have all ended."""

    def __init__(self, standing: Standing, work: Stagework, wish: Wish, watch: Watch) -> None:
        self.standing, self.work, self.wish, self.watch = standing, work, wish, watch
        self.judged: dict[str, Judged] = {}  # by token
        self.usage: dict[str, Usage] = {}  # by token

    def see_to_the_end(self) -> Going[None]:
        """Wait for the wanted jobs, or until something is to be committed; only look once where waiting is not wanted.

        Raises:
            Moved: someone else moved the branch.
        """
        if not self.watch.attempts:
            return
        if self.wish.wait:
            yield from self.watch.wait(self._pause)
        else:
            yield from self.watch.look_thoroughly()
            looks = _LOOKS if self.wish.token else 0  # a job of ours has nobody to tell that it knows nothing
            while self.watch.unknown and (looks := looks - 1) >= 0:
                yield self.watch.poll_seconds
                yield from self.watch.look_thoroughly()
        check_unmoved(self.standing)

    def _pause(self) -> bool:
        check_unmoved(self.standing)
        return self.meanwhile() is not None

    def meanwhile(self) -> Step | None:
        """A commit that does not wait for the other jobs: of what failed, so that it can be retried; of what can start now."""
        standing, ledger, work = self.standing, self.standing.ledger, self.work
        if not ledger or not work.worker:
            return None
        harvest = self.harvest()
        ledger = harvest.enter(ledger)
        if not self.watch.awaited and (self.wish.accept_missing or not tally(ledger, work.jobs).failed):
            return None  # the stage is passed at once
        if any(one.attempt.phase is Phase.FAILED for one in harvest.judged):
            count = tally(ledger, [job for job in work.all if self.wish.run in (None, job.run)])
            detached = detached_of(standing.name, self.wish.leave, now(), by=self.wish.token)
            ledger = ledger.model_copy(update={"detached": detached})
            return steps.failure(standing, work.stage, work.workers, harvest, count, ledger, time=now())
        if due := due_jobs(standing, work, self.wish, ledger):
            check_ready(standing, work, due, self.watch.work)
            return submission(standing, work, self.wish, due, ledger, harvest)
        return None

    def harvest(self) -> Harvest:
        """What the jobs that ended left, each judged once."""
        watch, standing = self.watch, self.standing
        new = [ended for token, ended in watch.ended.items() if token not in self.judged]
        if new and standing.ledger:
            late = lacking(standing.ledger)  # accounting comes some seconds after the end
            self.usage |= watch.scheduler.usage(watch.cluster, watch.work, [*(ended.attempt for ended in new), *late])
            limit = standing.lab.config.max_log_bytes
            taken = frozenset(attempt.log for attempt in standing.ledger.attempts if attempt.log)
            for ended in new:
                job, token = watch.jobs[ended.attempt.job], ended.attempt.token
                known = ended._replace(usage=self.usage.get(token))
                self.judged[token] = judge(
                    self.work.workers[job.stage], standing.context, job, known, watch.work, limit=limit, taken=taken
                )
        ids = {token: sighting.job_id for token, sighting in watch.seen.items() if sighting.job_id}
        return Harvest(list(self.judged.values()), ids, dict(watch.queries), self.usage)


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


def leave(standing: Standing, work: Stagework, wish: Wish, follow: Follow) -> Going[Step | None]:
    """See to it that a job goes on when others have ended; the commit that must name it first, if it is not named yet.

    Raises:
        CkgitError: SLURM refuses that job, or does not say whether it has taken it.
    """
    ledger, watch, planned = standing.ledger, follow.watch, wish.leave
    if not ledger or not planned:
        return None
    detached = ledger.detached
    if detached and detached.token != wish.token and not planned.is_that_of(detached):
        end_detached(standing, ledger)
        detached = None
    if not detached or detached.token == wish.token:
        return _naming(standing, work, wish, follow)
    sighting = yield from _taken_over(standing, work, wish, watch, detached)
    if sighting.seen is Seen.GONE:
        return _naming(standing, work, wish, follow)
    if sighting.job_id:
        secure(standing, detached, watch.work, sighting.job_id)
    return None


def _taken_over(standing: Standing, work: Stagework, wish: Wish, watch: Watch, detached: Detached) -> Going[Sighting]:
    """See to it that SLURM has the job that goes on: it is queued, runs, or has been and is gone.

    Raises:
        CkgitError: SLURM refuses it, or does not say for long whether it has taken it.
    """
    said = ""
    patience = max(_LOOKS, math.ceil(3 * watch.grace / watch.poll_seconds))  # what sbatch leaves open is settled after the time of grace
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


def _naming(standing: Standing, work: Stagework, wish: Wish, follow: Follow) -> Step | None:
    detached = detached_of(standing.name, wish.leave, now(), by=wish.token)
    return steps.left(standing, work.workers, follow.harvest(), standing.ledger, detached) if standing.ledger else None


def _hand_over(standing: Standing, work: Stagework, wish: Wish, watch: Watch, detached: Detached) -> Sighting:
    """Hand over the job that goes on: after others, or after a time where it can only be waited for room, or for an answer.

    Raises:
        CkgitError: it was refused.
    """
    waiting = [a for a in watch.open if watch.seen[a.token].seen is Seen.UNSEEN]
    ids = [job_id for a in watch.open if (job_id := watch.seen[a.token].job_id) and watch.seen[a.token].seen is not Seen.UNKNOWN]
    # where something else can start when one job has ended, that end is worth a look
    any_of = bool(waiting) or (not wish.sequential and bool(tally(standing.ledger, work.ahead).unsubmitted))
    delay = 0.0 if ids and not watch.unknown else _LOOKS * watch.poll_seconds
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


def _follow(standing: Standing, watch: Watch) -> Standing:
    """The branch moved while we waited: go on where the same attempts are still open, else say who was first."""
    after = stand(standing.lab, standing.name)
    still = {attempt.token for attempt in (after.ledger.open() if after.ledger else ())}
    if after.snapshot.state is standing.snapshot.state and {attempt.token for attempt in watch.attempts} <= still:
        return after
    raise CkgitError(
        f"someone else moved {standing.name} on while this command waited at {standing.snapshot.tip[:12]}: "
        f"it is {after.snapshot.state} at {after.snapshot.tip[:12]} ({after.snapshot.event})",
        code=Exit.BRANCH_MOVED,
        state="this command changed nothing after its last message",
        next=f"ckgit status {standing.name}",
    )


def conclude(standing: Standing, work: Stagework, wish: Wish, harvest: Harvest) -> tuple[Step | None, Passage]:
    """The commit that follows from what the jobs left, and what to tell."""
    ledger = standing.ledger
    if not ledger or not work.worker:
        return None, _passed([])
    ledger = harvest.enter(ledger)
    own, whole = tally(ledger, work.selected(wish.run)), tally(ledger, work.jobs)
    if own.failed and not wish.accept_missing:
        ledger = ledger.model_copy(update={"detached": None})
        step = steps.failure(standing, work.stage, work.workers, harvest, own, ledger, time=now()) if harvest.judged else None
        return step, _failed(standing, own)
    if whole.open or whole.unsubmitted or (whole.failed and not wish.accept_missing):
        done = f"{len(own.done)} of {whole.total} {work.stage} jobs are done and wait for the others"
        return None, Passage(Exit.DONE, [], done, f"ckgit advance {standing.name}")
    accepted = dict.fromkeys([*ledger.accepted_missing, *(attempt.job for attempt in whole.failed), *(job.name for job in work.over)])
    # who goes on after this stage is still the one who passes it, also when it is killed and started again
    goes_on = wish.detach and ORDER.index(wish.detach) > ORDER.index(standing.snapshot.state) + 1
    ledger = ledger.model_copy(update={"accepted_missing": tuple(accepted), "detached": ledger.detached if goes_on else None})
    return steps.passing(standing, work.stage, work.workers, harvest, whole, work.over, ledger, time=now()), _passed([])


def check_ready(standing: Standing, work: Stagework, jobs: Sequence[Job], tree: Path) -> None:
    """Raise when a job lacks what it needs.

    Raises:
        CkgitError: EVIDENCE_MISSING, with the reasons.
    """
    reasons = [f"{job.name}: {reason}" for job in jobs for reason in work.workers[job.stage].ready(standing.context, job, tree)]
    more = [f"and {len(reasons) - _LISTED} more reasons"] if len(reasons) > _LISTED else []
    if reasons:
        raise CkgitError(
            "\n  ".join(["these jobs cannot start:", *reasons[:_LISTED], *more]),
            code=Exit.EVIDENCE_MISSING,
            state="nothing was submitted",
            next="mend this, then run the same command again",
        )


def _passed(taken: Sequence[Taken]) -> Passage:
    return Passage(Exit.DONE, taken, "")


def _failed(standing: Standing, count: Tally) -> Passage:
    failed = "were cancelled" if all(attempt.phase is Phase.CANCELLED for attempt in count.failed) else "failed"
    lines = [f"{len(count.failed)} of {count.total} jobs {failed}:", *(f"  {describe(attempt)}" for attempt in count.failed)]
    name = standing.name
    return Passage(
        Exit.JOBS_FAILED, [], "\n".join(lines), f"ckgit why {name}, then ckgit retry {name} (or ckgit advance {name} --accept-missing)"
    )


def _in_flight(standing: Standing, watch: Watch, taken: Sequence[Taken]) -> Passage:
    if watch.unknown:
        return Passage(
            Exit.UNKNOWN,
            taken,
            f"nothing can be said now of {len(watch.unknown)} jobs ({watch.unknown[0].detail}); unknown means wait",
            f"ckgit advance {standing.name}",
        )
    return Passage(Exit.IN_FLIGHT, taken, f"jobs are in flight: {watch.count()}", f"ckgit advance {standing.name}")


def _detached(standing: Standing, watch: Watch) -> CkgitError:
    return CkgitError(
        f"detached from {standing.name}; its jobs go on without ckgit ({watch.count()})",
        code=Exit.INTERRUPTED,
        state="what was committed stands",
        next=f"ckgit advance {standing.name} comes back to them; ckgit cancel {standing.name} ends them",
    )
