"""run-experiment: take one stage from its scripts to its evidence.

Intent first, in a commit; then the hand-over; then the wait; then the judgement, in a commit. Each part begins with what
the branch and the scheduler say, so it does not matter which process did the part before, or whether it lived to its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.events import Progressed
from ckgit.formats.listing import in_words
from ckgit.lab.git.tips import is_lost
from ckgit.lab.git.worktrees import moving
from ckgit.lab.remotes import authority
from ckgit.lab.snapshot import DeletedError, take_snapshot
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import BranchMoved, ExperimentView, RecordedCommit, commit, open_experiment
from ckgit.orchestrators.engine.integrity import refuse_edited
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.polling import Polling
from ckgit.orchestrators.engine.results import AdvanceResult
from ckgit.orchestrators.run.continuation import continue_on_cluster
from ckgit.orchestrators.run.detach import end_detached
from ckgit.orchestrators.run.monitor.monitor import Monitor
from ckgit.orchestrators.run.observe import StageObserver
from ckgit.orchestrators.run.plan import Decision, Finish, Leave, Look, Record, Refuse, StageObservation, in_flight, plan_stage
from ckgit.orchestrators.run.stage import check_ready, stage_jobs
from ckgit.orchestrators.run.work_tree import make_work_tree
from ckgit.orchestrators.scaffold.rerender import bring

LISTED = 5  # jobs that an error names


def run_stage(
    view: ExperimentView, options: AdvanceOptions, events: Events, recorded: Sequence[RecordedCommit] = ()
) -> Polling[AdvanceResult]:
    """Submit what was not, wait, judge, and pass the stage or say why not: observe, plan, apply, until the plan is to finish.

    Args:
        recorded: commits that the command has made before.

    Raises:
        CkgitError: someone else moved the branch, evidence of the stage before is missing, or a command failed.
    """
    refuse_edited(view.snapshot)
    commits = list(recorded)
    observer = StageObserver(view, options, events)
    while True:
        seen = observer.observe()
        decision = plan_stage(seen, options)
        if observer.monitor and not isinstance(decision, Look):
            events.emit(Progressed(experiment=view.name))  # whatever was drawn of it is over
        if isinstance(decision, Leave):
            decision = yield from _leave(observer, seen)
        if isinstance(decision, Refuse):
            raise decision.error
        if isinstance(decision, Finish):
            return decision.result._replace(commits=commits)
        if isinstance(decision, Record):
            commits.append(apply(view, decision, events))
            if decision.result:
                return decision.result._replace(commits=commits)
            view = open_experiment(view.lab, view.name)
            observer = StageObserver(view, options, events)
        else:
            observer = yield from _look(observer)
            view = observer.view


def apply(view: ExperimentView, decision: Record, events: Events) -> RecordedCommit:
    """Carry out what is to be recorded: the work tree is there before the intent to run jobs in it is committed."""
    if decision.jobs and not (view.ledger and view.ledger.work_tree):
        ledger = make_work_tree(view)
        check_ready(view, stage_jobs(view), decision.jobs, Path(ledger.work_tree))
    if decision.ends_detached and view.ledger:
        end_detached(view, view.ledger)
    return commit(view, decision.commit, events)


def _look(observer: StageObserver) -> Polling[StageObserver]:
    """Ask the scheduler; the observer that goes on, which is another one where the branch has moved meanwhile."""
    view, options, events = observer.view, observer.options, observer.events
    if not observer.monitor:
        authority.push(view.lab, view.name, view.snapshot.tip)  # an intent is handed over once the authority has it
        _bring_retried(view, observer.open())
    monitor = observer.open()
    try:
        yield from observer.look()
    except BranchMoved:
        events.emit(Progressed(experiment=view.name))
        return StageObserver(_follow(view, monitor), options, events, monitor.queries)
    except KeyboardInterrupt:
        events.emit(Progressed(experiment=view.name))
        raise _detached(view, monitor) from None
    return observer


def _bring_retried(view: ExperimentView, monitor: Monitor) -> None:
    retried = [monitor.jobs[attempt.job] for attempt in monitor.attempts if attempt.number > 1]
    if retried:
        bring(view, monitor.workers, retried, monitor.work)


def _leave(observer: StageObserver, seen: StageObservation) -> Polling[Decision]:
    """See to it that a job of ours goes on."""
    step = yield from continue_on_cluster(observer.view, observer.work, observer.options, observer.open(), observer.collect)
    return Record(step) if step else Finish(in_flight(seen))


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


def _detached(view: ExperimentView, monitor: Monitor) -> CkgitError:
    return CkgitError(
        f"detached from {view.name}; its jobs go on without ckgit ({monitor.count()})",
        code=Exit.INTERRUPTED,
        state="what was committed stands",
        next=f"ckgit advance {view.name} comes back to them; ckgit cancel {view.name} ends them",
    )
