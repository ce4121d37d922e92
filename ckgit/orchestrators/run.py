"""run-experiment: take one stage from its scripts to its evidence.

Intent first, in a commit; then the hand-over; then the wait; then the judgement, in a commit. Each part begins with what
the branch and the scheduler say, so it does not matter which process did the part before, or whether it lived to its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.experiment.design import Stage, State
from ckgit.experiment.errors import CkgitError, Exit
from ckgit.experiment.jobs import Job, Phase
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.worker import Seen, Worker
from ckgit.lab import authority
from ckgit.orchestrators import steps
from ckgit.orchestrators.attempts import Tally, describe, passed_over, tally
from ckgit.orchestrators.collect import Judged, judge
from ckgit.orchestrators.logs import now
from ckgit.orchestrators.plugins import scheduler_for, worker_for
from ckgit.orchestrators.standing import Moved, Standing, Step, Taken, check_unmoved, stand, take
from ckgit.orchestrators.talk import Talk
from ckgit.orchestrators.watch import Watch
from ckgit.orchestrators.worktree import find_work_tree, make_work_tree

_LISTED = 20  # reasons in an error
STAGES: Mapping[State, Stage] = {State.SCAFFOLDED: Stage.TRAINING, State.TRAINED: Stage.EVALUATION}


class Wish(NamedTuple):
    """How a stage is to be run."""

    wait: bool = True
    accept_missing: bool = False
    run: str | None = None  # only the jobs of this run; the experiment moves on when they were the last ones


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
    worker = worker_for(standing.context.summary, stage)
    jobs = worker.jobs(standing.context) if worker else []
    over = passed_over(jobs, standing.ledger)
    return Stagework(stage, worker, [job for job in jobs if job not in over], over)


def run_stage(standing: Standing, wish: Wish, talk: Talk) -> Passage:
    """Submit what was not, wait, judge, and pass the stage or say why not.

    Raises:
        CkgitError: someone else moved the branch, evidence of the stage before is missing, or a command failed.
    """
    work = stagework(standing)
    if not work.worker or not work.jobs:
        return _passed([take(standing, steps.nothing_to_do(standing, work.stage, work.worker, work.over), talk)])
    taken: list[Taken] = []
    unsubmitted = tally(standing.ledger, work.selected(wish.run)).unsubmitted
    if unsubmitted:
        ledger = make_work_tree(standing)
        check_ready(standing, work.worker, unsubmitted, Path(ledger.work_tree))
        taken.append(take(standing, steps.submission(standing, Event.SUBMIT, work.worker, unsubmitted, ledger, time=now()), talk))
        standing = stand(standing.lab, standing.name)
    return finish(standing, wish, talk, taken)


def finish(standing: Standing, wish: Wish, talk: Talk, taken: Sequence[Taken]) -> Passage:
    """See the open attempts to their end, whoever made them, and commit what they left."""
    authority.push(standing.lab, standing.name, standing.snapshot.tip)  # an intent is handed over once the authority has it
    while True:
        work = stagework(standing)
        watch = start_watch(standing, work, wish.run, talk)
        try:
            _see_to_the_end(standing, watch, wish)
        except Moved:
            standing = _follow(standing, watch)
            continue
        except KeyboardInterrupt:
            raise _detached(standing, watch) from None
        finally:
            talk.progress(None)
        if watch.awaited:
            return _in_flight(standing, watch, [*taken, *_failed_so_far(standing, work, wish, watch, talk)])
        step, passage = conclude(standing, work, wish, judged_of(standing, work, watch))
        return passage._replace(taken=[*taken, *([take(standing, step, talk)] if step else [])])


def start_watch(standing: Standing, work: Stagework, run: str | None, talk: Talk) -> Watch:
    """The open attempts of a stage, in its work tree."""
    if not standing.ledger or not work.worker:
        raise CkgitError(
            f"no job of {standing.name} was ever submitted", code=Exit.ILLEGAL_TRANSITION, next=f"ckgit advance {standing.name}"
        )
    return Watch(
        worker=work.worker,
        context=standing.context,
        scheduler=scheduler_for(standing.context.cluster),
        work=find_work_tree(standing.ledger),
        jobs={job.name: job for job in work.jobs},
        attempts=tally(standing.ledger, work.jobs).open,
        wanted=frozenset(attempt.token for attempt in tally(standing.ledger, work.selected(run)).open),
        talk=talk,
    )


def _see_to_the_end(standing: Standing, watch: Watch, wish: Wish) -> None:
    if not watch.attempts:
        return
    if wish.wait:
        watch.wait(lambda: check_unmoved(standing))
    else:
        watch.look_thoroughly()
    check_unmoved(standing)


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


def judged_of(standing: Standing, work: Stagework, watch: Watch) -> list[Judged]:
    """What the jobs that ended left."""
    if not work.worker or not standing.ledger:
        return []
    limit = standing.lab.config.max_log_bytes
    taken = frozenset(attempt.log for attempt in standing.ledger.attempts if attempt.log)
    ended = [watch.ended[attempt.token] for attempt in watch.attempts if attempt.token in watch.ended]
    return [judge(work.worker, standing.context, watch.jobs[e.attempt.job], e, watch.work, limit=limit, taken=taken) for e in ended]


def _failed_so_far(standing: Standing, work: Stagework, wish: Wish, watch: Watch, talk: Talk) -> list[Taken]:
    """What failed is committed while other jobs still run, so that it can be retried at once."""
    failed = [one for one in judged_of(standing, work, watch) if one.attempt.phase is Phase.FAILED]
    if not failed or not standing.ledger or not work.worker:
        return []
    ledger = standing.ledger.with_attempts(*(one.attempt for one in failed))
    count = tally(ledger, work.selected(wish.run))
    return [take(standing, steps.failure(standing, work.stage, work.worker, failed, count, ledger, time=now()), talk)]


def conclude(standing: Standing, work: Stagework, wish: Wish, judged: Sequence[Judged]) -> tuple[Step | None, Passage]:
    """The commit that follows from what the jobs left, and what to tell."""
    ledger = standing.ledger
    if not ledger or not work.worker:
        return None, _passed([])
    ledger = ledger.with_attempts(*(one.attempt for one in judged))
    own, whole = tally(ledger, work.selected(wish.run)), tally(ledger, work.jobs)
    if own.failed and not wish.accept_missing:
        step = steps.failure(standing, work.stage, work.worker, judged, own, ledger, time=now()) if judged else None
        return step, _failed(standing, own)
    if whole.open or whole.unsubmitted or (whole.failed and not wish.accept_missing):
        done = f"{len(own.done)} of {whole.total} {work.stage} jobs are done and wait for the others"
        return None, Passage(Exit.DONE, [], done, f"ckgit advance {standing.name}")
    accepted = dict.fromkeys([*ledger.accepted_missing, *(attempt.job for attempt in whole.failed), *(job.name for job in work.over)])
    ledger = ledger.model_copy(update={"accepted_missing": tuple(accepted)})
    return steps.passing(standing, work.stage, work.worker, judged, whole, work.over, ledger, time=now()), _passed([])


def check_ready(standing: Standing, worker: Worker, jobs: Sequence[Job], work: Path) -> None:
    """Raise when a job lacks what it needs.

    Raises:
        CkgitError: EVIDENCE_MISSING, with the reasons.
    """
    reasons = [f"{job.name}: {reason}" for job in jobs for reason in worker.ready(standing.context, job, work)]
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
    unknown = [watch.seen[attempt.token] for attempt in watch.open if watch.seen[attempt.token].seen is Seen.UNKNOWN]
    if unknown:
        return Passage(
            Exit.UNKNOWN,
            taken,
            f"nothing can be said now of {len(unknown)} jobs ({unknown[0].detail}); unknown means wait",
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
