"""run-experiment: take one stage from its scripts to its evidence.

Intent first, in a commit; then the hand-over; then the wait; then the judgement, in a commit. Each part begins with what
the branch and the scheduler say, so it does not matter which process did the part before, or whether it lived to its end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import with_limits
from ckgit.experiment.jobs import FailureClass, Job, Phase, Usage
from ckgit.experiment.lifecycle import ORDER
from ckgit.experiment.results import CellResult, TrainingResult
from ckgit.formats.listing import first_of, in_words
from ckgit.lab.git.tips import is_lost
from ckgit.lab.git.worktrees import moving
from ckgit.lab.lab import open_lab
from ckgit.lab.remotes import authority
from ckgit.lab.snapshot import DeletedError, take_snapshot
from ckgit.orchestrators.engine.experiment import Moved, Standing, Step, Taken, check_unmoved, stand, take
from ckgit.orchestrators.engine.integrity import foreign_starts, refuse_edited, retrained
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.orphans import refuse_strays
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.engine.polling import Going
from ckgit.orchestrators.engine.reporter import Talk
from ckgit.orchestrators.run import commits
from ckgit.orchestrators.run.attempts import Tally, describe, tally
from ckgit.orchestrators.run.check_cluster import refuse_misled
from ckgit.orchestrators.run.collect import Judged, judge
from ckgit.orchestrators.run.commits import NOTHING, Harvest
from ckgit.orchestrators.run.continuation import LOOKS, leave
from ckgit.orchestrators.run.detach import detached_of, end_detached
from ckgit.orchestrators.run.monitor import Watch
from ckgit.orchestrators.run.stage import Passage, Stagework, Wish, check_ready, due_jobs, stagework, submission
from ckgit.orchestrators.run.usage import lacking
from ckgit.orchestrators.run.work_tree import find_work_tree, make_work_tree
from ckgit.orchestrators.scaffold.rerender import bring

LISTED = 5  # jobs that an error names


def run_stage(standing: Standing, wish: Wish, talk: Talk) -> Going[Passage]:
    """Submit what was not, wait, judge, and pass the stage or say why not.

    Raises:
        CkgitError: someone else moved the branch, evidence of the stage before is missing, or a command failed.
    """
    refuse_misled(standing)
    refuse_edited(standing.snapshot)
    work = stagework(standing)
    if not work.worker or not work.jobs:
        return _passed([take(standing, commits.nothing_to_do(standing, work.stage, work.worker, work.over), talk)])
    taken: list[Taken] = []
    if due := due_jobs(standing, work, wish):
        refuse_strays(standing.lab, standing.name, standing.ledger)
        ledger = make_work_tree(standing)
        check_ready(standing, work, due, Path(ledger.work_tree))
        taken.append(take(standing, submission(standing, work, wish, due, ledger), talk))
        standing = stand(standing.lab, standing.name)
    return (yield from finish(standing, wish, talk, taken))


def finish(standing: Standing, wish: Wish, talk: Talk, taken: Sequence[Taken]) -> Going[Passage]:
    """See the open attempts to their end, whoever made them, and commit what they left."""
    authority.push(standing.lab, standing.name, standing.snapshot.tip)  # an intent is handed over once the authority has it
    taken = list(taken)
    if standing.ledger and standing.ledger.detached and not wish.detach:  # from now on this command goes on
        end_detached(standing, standing.ledger)
        workers = stagework(standing).workers
        taken.append(take(standing, commits.left(standing, workers, NOTHING, standing.ledger, None), talk))
        standing = stand(standing.lab, standing.name)
    asked = Counter[str]()
    while True:
        work = stagework(standing)
        watch = start_watch(standing, work, wish.run, talk)
        watch.queries.update(asked)
        asked.clear()
        _bring_retried(standing, watch)
        follow = Follow(standing, work, wish, watch)
        try:
            yield from follow.see_to_the_end()
        except Moved:
            standing = _follow(standing, watch)
            asked.update(watch.queries)
            continue
        except KeyboardInterrupt:
            raise _detached(standing, watch) from None
        finally:
            talk.progress(None)
        step = follow.meanwhile()
        if not step and watch.awaited and wish.detach:
            step = yield from leave(standing, work, wish, watch, follow.harvest)
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
        first=standing.ledger.attempts[0].token if standing.ledger.attempts else "",
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
            looks = LOOKS if self.wish.token else 0  # a job of ours has nobody to tell that it knows nothing
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
            return commits.failure(standing, work.stage, work.workers, harvest, count, ledger, time=now())
        if due := due_jobs(standing, work, self.wish, ledger):
            refuse_strays(standing.lab, standing.name, ledger)
            check_ready(standing, work, due, self.watch.work)
            return submission(standing, work, self.wish, due, ledger, harvest)
        return None

    def harvest(self) -> Harvest:
        """What the jobs that ended left, each judged once."""
        watch, standing = self.watch, self.standing
        new = [ended for token, ended in watch.ended.items() if token not in self.judged]
        if new and standing.ledger:
            late = lacking(standing.ledger)  # accounting comes some seconds after the end
            spent = watch.scheduler.usage(watch.cluster, watch.work, [*(ended.attempt for ended in new), *late])
            self.usage |= spent.usage
            watch.queries.update(spent.queries)
            limit = standing.lab.config.max_log_bytes
            taken = frozenset(attempt.log for attempt in standing.ledger.attempts if attempt.log)
            for ended in new:
                job, token = watch.jobs[ended.attempt.job], ended.attempt.token
                known = ended._replace(usage=self.usage.get(token))
                worker, foreign = self.work.workers[job.stage], partial(self._foreign, job)
                self.judged[token] = judge(worker, standing.context, job, known, watch.work, limit=limit, taken=taken, foreign=foreign)
        ids = {token: sighting.job_id for token, sighting in watch.seen.items() if sighting.job_id}
        return Harvest(list(self.judged.values()), ids, dict(watch.queries), self.usage)

    def _foreign(self, job: Job, found: Sequence[TrainingResult | CellResult]) -> str:
        """Why what a job left is not this experiment's; empty where it is."""
        other = retrained(self.standing, [job], self.watch.work)
        return other.get(job.run) or foreign_starts(self.standing.ledger, job, found)


def _follow(standing: Standing, watch: Watch) -> Standing:
    """The branch moved while we waited: go on where the same attempts are still open, else say what became of it."""
    try:
        take_snapshot(standing.lab, standing.name)
    except DeletedError:
        raise _left_behind(standing, watch, "the branch was deleted") from None
    after = stand(standing.lab, standing.name)
    still = {attempt.token for attempt in (after.ledger.open() if after.ledger else ())}
    if after.snapshot.state is standing.snapshot.state and {attempt.token for attempt in watch.attempts} <= still:
        refuse_edited(after.snapshot)
        return after
    if is_lost(standing.lab.root, standing.snapshot.tip, after.snapshot.tip):
        raise _left_behind(standing, watch, f"the branch was rewritten: it is at {after.snapshot.tip[:12]}")
    raise CkgitError(
        f"someone else moved {standing.name} on while this command waited at {standing.snapshot.tip[:12]}: "
        f"it is {after.snapshot.state} at {after.snapshot.tip[:12]} ({after.snapshot.event})",
        code=Exit.BRANCH_MOVED,
        state="this command changed nothing after its last message",
        next=f"ckgit status {standing.name}",
    )


def _left_behind(standing: Standing, watch: Watch, how: str) -> CkgitError:
    """The commit that was followed is not on the branch any more."""
    name, tip = standing.name, standing.snapshot.tip[:12]
    jobs = f"; these jobs go on without it: {in_words((attempt.job for attempt in watch.open), LISTED)}" if watch.open else ""
    return CkgitError(
        f"{how}, while this command followed it at {tip}{jobs}",
        code=Exit.BRANCH_MOVED,
        where=f"exp/{name}",
        state="this command changed nothing after its last message",
        next=f"{moving(standing.lab.branch(name), tip)} goes back to it; ckgit cancel {name} ends the jobs",
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
        step = commits.failure(standing, work.stage, work.workers, harvest, own, ledger, time=now()) if harvest.judged else None
        return step, _failed(standing, own)
    if whole.open or whole.unsubmitted or (whole.failed and not wish.accept_missing):
        done = f"{len(own.done)} of {whole.total} {work.stage} jobs are done and wait for the others"
        return None, Passage(Exit.DONE, [], done, f"ckgit advance {standing.name}")
    accepted = dict.fromkeys([*ledger.accepted_missing, *(attempt.job for attempt in whole.failed), *(job.name for job in work.over)])
    # who goes on after this stage is still the one who passes it, also when it is killed and started again
    goes_on = wish.detach and ORDER.index(wish.detach) > ORDER.index(standing.snapshot.state) + 1
    ledger = ledger.model_copy(update={"accepted_missing": tuple(accepted), "detached": ledger.detached if goes_on else None})
    return commits.passing(standing, work.stage, work.workers, harvest, whole, work.over, ledger, time=now()), _passed([])


def _passed(taken: Sequence[Taken]) -> Passage:
    return Passage(Exit.DONE, taken, "")


def _failed(standing: Standing, count: Tally) -> Passage:
    failed = "were cancelled" if all(attempt.phase is Phase.CANCELLED for attempt in count.failed) else "failed"
    lines = [f"{len(count.failed)} of {count.total} jobs {failed}:", *(f"  {line}" for line in first_of(map(describe, count.failed)))]
    name = standing.name
    again = f"ckgit why {name}, then ckgit retry {name} (or ckgit advance {name} --accept-missing)"
    if any(attempt.failure is FailureClass.INPUT_CHANGED for attempt in count.failed):  # it will fail again
        again = f"bring back what has changed, then ckgit retry {name}; or start anew: ckgit revise {name}, then ckgit advance {name}"
    return Passage(Exit.JOBS_FAILED, [], "\n".join(lines), again)


def _in_flight(standing: Standing, watch: Watch, taken: Sequence[Taken]) -> Passage:
    if watch.unknown:
        return Passage(
            Exit.UNKNOWN,
            taken,
            f"nothing can be said now of {len(watch.unknown)} jobs ({watch.unknown[0].detail}); unknown means wait",
            f"ckgit advance {standing.name} looks again; ckgit cancel {standing.name} gives them up",
        )
    return Passage(Exit.IN_FLIGHT, taken, f"jobs are in flight: {watch.count()}", f"ckgit advance {standing.name}")


def _detached(standing: Standing, watch: Watch) -> CkgitError:
    return CkgitError(
        f"detached from {standing.name}; its jobs go on without ckgit ({watch.count()})",
        code=Exit.INTERRUPTED,
        state="what was committed stands",
        next=f"ckgit advance {standing.name} comes back to them; ckgit cancel {standing.name} ends them",
    )
