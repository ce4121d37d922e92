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
from ckgit.experiment.events import Progressed
from ckgit.experiment.jobs import FailureClass, Job, Phase, Usage
from ckgit.experiment.lifecycle import ORDER
from ckgit.experiment.results import CellResult, TrainingResult
from ckgit.formats.listing import first_of, in_words
from ckgit.lab.git.tips import is_lost
from ckgit.lab.git.worktrees import moving
from ckgit.lab.lab import open_lab
from ckgit.lab.remotes import authority
from ckgit.lab.snapshot import DeletedError, take_snapshot
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import (
    BranchMoved,
    CommitPlan,
    ExperimentView,
    RecordedCommit,
    check_unmoved,
    commit,
    open_experiment,
)
from ckgit.orchestrators.engine.integrity import foreign_starts, refuse_edited, retrained
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.orphans import refuse_orphans
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.engine.polling import Polling
from ckgit.orchestrators.engine.results import AdvanceResult
from ckgit.orchestrators.run import commits
from ckgit.orchestrators.run.attempts import JobCounts, count_jobs, describe
from ckgit.orchestrators.run.check_cluster import refuse_misled
from ckgit.orchestrators.run.collect import JudgedAttempt, judge
from ckgit.orchestrators.run.commits import NOTHING, Collected
from ckgit.orchestrators.run.continuation import LOOKS, continue_on_cluster
from ckgit.orchestrators.run.detach import detached_of, end_detached
from ckgit.orchestrators.run.monitor.monitor import Monitor
from ckgit.orchestrators.run.stage import StageJobs, check_ready, due_jobs, stage_jobs, submission
from ckgit.orchestrators.run.usage import lacking
from ckgit.orchestrators.run.work_tree import find_work_tree, make_work_tree
from ckgit.orchestrators.scaffold.rerender import bring

LISTED = 5  # jobs that an error names


def run_stage(view: ExperimentView, options: AdvanceOptions, events: Events) -> Polling[AdvanceResult]:
    """Submit what was not, wait, judge, and pass the stage or say why not.

    Raises:
        CkgitError: someone else moved the branch, evidence of the stage before is missing, or a command failed.
    """
    refuse_misled(view)
    refuse_edited(view.snapshot)
    work = stage_jobs(view)
    if not work.worker or not work.jobs:
        return _passed(view, [commit(view, commits.nothing_to_do(view, work.stage, work.worker, work.over), events)])
    taken: list[RecordedCommit] = []
    if due := due_jobs(view, work, options):
        refuse_orphans(view.lab, view.name, view.ledger)
        ledger = make_work_tree(view)
        check_ready(view, work, due, Path(ledger.work_tree))
        taken.append(commit(view, submission(view, work, options, due, ledger), events))
        view = open_experiment(view.lab, view.name)
    return (yield from finish(view, options, events, taken))


def finish(view: ExperimentView, options: AdvanceOptions, events: Events, taken: Sequence[RecordedCommit]) -> Polling[AdvanceResult]:
    """See the open attempts to their end, whoever made them, and commit what they left."""
    authority.push(view.lab, view.name, view.snapshot.tip)  # an intent is handed over once the authority has it
    taken = list(taken)
    if view.ledger and view.ledger.detached and not options.detach:  # from now on this command goes on
        end_detached(view, view.ledger)
        workers = stage_jobs(view).workers
        taken.append(commit(view, commits.left(view, workers, NOTHING, view.ledger, None), events))
        view = open_experiment(view.lab, view.name)
    asked = Counter[str]()
    while True:
        work = stage_jobs(view)
        monitor = open_monitor(view, work, options.run, events)
        monitor.queries.update(asked)
        asked.clear()
        _bring_retried(view, monitor)
        follow = Follow(view, work, options, monitor)
        try:
            yield from follow.see_to_the_end()
        except BranchMoved:
            view = _follow(view, monitor)
            asked.update(monitor.queries)
            continue
        except KeyboardInterrupt:
            raise _detached(view, monitor) from None
        finally:
            events.emit(Progressed(experiment=view.name))  # whatever was drawn of it is over
        step = follow.meanwhile()
        if not step and monitor.awaited and options.detach:
            step = yield from continue_on_cluster(view, work, options, monitor, follow.collect)
        if step:
            taken.append(commit(view, step, events))
            view = open_experiment(view.lab, view.name)
        elif monitor.awaited:
            return _in_flight(view, monitor, taken)
        else:
            step, result = conclude(view, work, options, follow.collect())
            return result._replace(commits=[*taken, *([commit(view, step, events)] if step else [])])


def _bring_retried(view: ExperimentView, monitor: Monitor) -> None:
    retried = [monitor.jobs[attempt.job] for attempt in monitor.attempts if attempt.number > 1]
    if retried:
        bring(view, monitor.workers, retried, monitor.work)


def open_monitor(view: ExperimentView, work: StageJobs, run: str | None, events: Events) -> Monitor:
    """The open attempts of an experiment, in its work tree; those of the stage that comes next are waited for."""
    if not view.ledger or not work.worker:
        raise CkgitError(f"no job of {view.name} was ever submitted", code=Exit.ILLEGAL_TRANSITION, next=f"ckgit advance {view.name}")
    refuse_misled(view)
    cluster = view.context.cluster
    return Monitor(
        workers=work.workers,
        context=view.context,
        cluster=cluster,
        refresh=lambda: with_limits(cluster, open_lab(view.lab.root).cluster(view.context.cluster_name)),
        scheduler=scheduler_for(cluster),
        work=find_work_tree(view.ledger),
        jobs={job.name: job for job in work.all},
        first=view.ledger.attempts[0].token if view.ledger.attempts else "",
        attempts=count_jobs(view.ledger, work.all).open,
        wanted=frozenset(attempt.token for attempt in count_jobs(view.ledger, work.selected(run)).open),
        events=events,
        detached=int(view.ledger.detached is not None),
    )


class Follow:
    """One command's wait for the jobs of an experiment at one commit, and what is to be committed before they have all ended."""

    def __init__(self, view: ExperimentView, work: StageJobs, options: AdvanceOptions, monitor: Monitor) -> None:
        self.view, self.work, self.options, self.monitor = view, work, options, monitor
        self.judged: dict[str, JudgedAttempt] = {}  # by token
        self.usage: dict[str, Usage] = {}  # by token

    def see_to_the_end(self) -> Polling[None]:
        """Wait for the wanted jobs, or until something is to be committed; only look once where waiting is not wanted.

        Raises:
            Moved: someone else moved the branch.
        """
        if not self.monitor.attempts:
            return
        if self.options.wait:
            yield from self.monitor.wait(self._pause)
        else:
            yield from self.monitor.look_thoroughly()
            looks = LOOKS if self.options.token else 0  # a job of ours has nobody to tell that it knows nothing
            while self.monitor.unknown and (looks := looks - 1) >= 0:
                yield self.monitor.poll_seconds
                yield from self.monitor.look_thoroughly()
        check_unmoved(self.view)

    def _pause(self) -> bool:
        check_unmoved(self.view)
        return self.meanwhile() is not None

    def meanwhile(self) -> CommitPlan | None:
        """A commit that does not wait for the other jobs: of what failed, so that it can be retried; of what can start now."""
        view, ledger, work = self.view, self.view.ledger, self.work
        if not ledger or not work.worker:
            return None
        collected = self.collect()
        ledger = collected.enter(ledger)
        if not self.monitor.awaited and (self.options.accept_missing or not count_jobs(ledger, work.jobs).failed):
            return None  # the stage is passed at once
        if any(one.attempt.phase is Phase.FAILED for one in collected.judged):
            count = count_jobs(ledger, [job for job in work.all if self.options.run in (None, job.run)])
            detached = detached_of(view.name, self.options.leave, now(), by=self.options.token)
            ledger = ledger.model_copy(update={"detached": detached})
            return commits.failure(view, work.stage, work.workers, collected, count, ledger, time=now())
        if due := due_jobs(view, work, self.options, ledger):
            refuse_orphans(view.lab, view.name, ledger)
            check_ready(view, work, due, self.monitor.work)
            return submission(view, work, self.options, due, ledger, collected)
        return None

    def collect(self) -> Collected:
        """What the jobs that ended left, each judged once."""
        monitor, view = self.monitor, self.view
        new = [ended for token, ended in monitor.ended.items() if token not in self.judged]
        if new and view.ledger:
            late = lacking(view.ledger)  # accounting comes some seconds after the end
            spent = monitor.scheduler.usage(monitor.cluster, monitor.work, [*(ended.attempt for ended in new), *late])
            self.usage |= spent.usage
            monitor.queries.update(spent.queries)
            limit = view.lab.config.max_log_bytes
            taken = frozenset(attempt.log for attempt in view.ledger.attempts if attempt.log)
            for ended in new:
                job, token = monitor.jobs[ended.attempt.job], ended.attempt.token
                known = ended._replace(usage=self.usage.get(token))
                worker, foreign = self.work.workers[job.stage], partial(self._foreign, job)
                self.judged[token] = judge(worker, view.context, job, known, monitor.work, limit=limit, taken=taken, foreign=foreign)
        ids = {token: job_status.job_id for token, job_status in monitor.statuses.items() if job_status.job_id}
        return Collected(list(self.judged.values()), ids, dict(monitor.queries), self.usage)

    def _foreign(self, job: Job, found: Sequence[TrainingResult | CellResult]) -> str:
        """Why what a job left is not this experiment's; empty where it is."""
        other = retrained(self.view, [job], self.monitor.work)
        return other.get(job.run) or foreign_starts(self.view.ledger, job, found)


def _follow(view: ExperimentView, monitor: Monitor) -> ExperimentView:
    """The branch moved while we waited: go on where the same attempts are still open, else say what became of it."""
    try:
        take_snapshot(view.lab, view.name)
    except DeletedError:
        raise _left_behind(view, monitor, "the branch was deleted") from None
    after = open_experiment(view.lab, view.name)
    still = {attempt.token for attempt in (after.ledger.open() if after.ledger else ())}
    if after.snapshot.state is view.snapshot.state and {attempt.token for attempt in monitor.attempts} <= still:
        refuse_edited(after.snapshot)
        return after
    if is_lost(view.lab.root, view.snapshot.tip, after.snapshot.tip):
        raise _left_behind(view, monitor, f"the branch was rewritten: it is at {after.snapshot.tip[:12]}")
    raise CkgitError(
        f"someone else moved {view.name} on while this command waited at {view.snapshot.tip[:12]}: "
        f"it is {after.snapshot.state} at {after.snapshot.tip[:12]} ({after.snapshot.event})",
        code=Exit.BRANCH_MOVED,
        state="this command changed nothing after its last message",
        next=f"ckgit status {view.name}",
    )


def _left_behind(view: ExperimentView, monitor: Monitor, how: str) -> CkgitError:
    """The commit that was followed is not on the branch any more."""
    name, tip = view.name, view.snapshot.tip[:12]
    jobs = f"; these jobs go on without it: {in_words((attempt.job for attempt in monitor.open), LISTED)}" if monitor.open else ""
    return CkgitError(
        f"{how}, while this command followed it at {tip}{jobs}",
        code=Exit.BRANCH_MOVED,
        where=f"exp/{name}",
        state="this command changed nothing after its last message",
        next=f"{moving(view.lab.branch(name), tip)} goes back to it; ckgit cancel {name} ends the jobs",
    )


def conclude(
    view: ExperimentView, work: StageJobs, options: AdvanceOptions, collected: Collected
) -> tuple[CommitPlan | None, AdvanceResult]:
    """The commit that follows from what the jobs left, and what to tell."""
    ledger = view.ledger
    if not ledger or not work.worker:
        return None, _passed(view, [])
    ledger = collected.enter(ledger)
    own, whole = count_jobs(ledger, work.selected(options.run)), count_jobs(ledger, work.jobs)
    if own.failed and not options.accept_missing:
        ledger = ledger.model_copy(update={"detached": None})
        step = commits.failure(view, work.stage, work.workers, collected, own, ledger, time=now()) if collected.judged else None
        return step, _failed(view, own)
    if whole.open or whole.unsubmitted or (whole.failed and not options.accept_missing):
        done = f"{len(own.done)} of {whole.total} {work.stage} jobs are done and wait for the others"
        return None, AdvanceResult(view.name, view.snapshot.state, Exit.DONE, [], done, f"ckgit advance {view.name}")
    accepted = dict.fromkeys([*ledger.accepted_missing, *(attempt.job for attempt in whole.failed), *(job.name for job in work.over)])
    # who goes on after this stage is still the one who passes it, also when it is killed and started again
    goes_on = options.detach and ORDER.index(options.detach) > ORDER.index(view.snapshot.state) + 1
    ledger = ledger.model_copy(update={"accepted_missing": tuple(accepted), "detached": ledger.detached if goes_on else None})
    return commits.passing(view, work.stage, work.workers, collected, whole, work.over, ledger, time=now()), _passed(view, [])


def _passed(view: ExperimentView, taken: Sequence[RecordedCommit]) -> AdvanceResult:
    return AdvanceResult(view.name, view.snapshot.state, Exit.DONE, taken, "")


def _failed(view: ExperimentView, count: JobCounts) -> AdvanceResult:
    lines = [f"{count.ended_badly()}:", *(f"  {line}" for line in first_of(map(describe, count.failed)))]
    name = view.name
    again = f"ckgit why {name}, then ckgit retry {name} (or ckgit advance {name} --accept-missing)"
    if any(attempt.failure is FailureClass.INPUT_CHANGED for attempt in count.failed):  # it will fail again
        again = f"bring back what has changed, then ckgit retry {name}; or start anew: ckgit revise {name}, then ckgit advance {name}"
    return AdvanceResult(view.name, view.snapshot.state, Exit.JOBS_FAILED, [], "\n".join(lines), again)


def _in_flight(view: ExperimentView, monitor: Monitor, taken: Sequence[RecordedCommit]) -> AdvanceResult:
    if monitor.unknown:
        return AdvanceResult(
            view.name,
            view.snapshot.state,
            Exit.UNKNOWN,
            taken,
            f"nothing can be said now of {len(monitor.unknown)} jobs ({monitor.unknown[0].detail}); unknown means wait",
            f"ckgit advance {view.name} looks again; ckgit cancel {view.name} gives them up",
        )
    return AdvanceResult(
        view.name, view.snapshot.state, Exit.IN_FLIGHT, taken, f"jobs are in flight: {monitor.count()}", f"ckgit advance {view.name}"
    )


def _detached(view: ExperimentView, monitor: Monitor) -> CkgitError:
    return CkgitError(
        f"detached from {view.name}; its jobs go on without ckgit ({monitor.count()})",
        code=Exit.INTERRUPTED,
        state="what was committed stands",
        next=f"ckgit advance {view.name} comes back to them; ckgit cancel {view.name} ends them",
    )
