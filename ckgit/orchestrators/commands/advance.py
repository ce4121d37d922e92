"""Observe, plan, apply, until the plan is to finish: how every command moves an experiment on.

It does not matter which process did the part before, or whether it lived to its end: each turn begins with what is seen now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.outputs.events import Progressed
from ckgit.formats.listing import in_words
from ckgit.lab.branches import DeletedError
from ckgit.lab.git.tips import is_lost
from ckgit.lab.git.worktrees import moving
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.commands.observe import Observer
from ckgit.orchestrators.commands.plan import plan
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import (
    BranchMoved,
    ExperimentView,
    RecordedCommit,
    check_at,
    check_unmoved,
    open_experiment,
    open_for_update,
)
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.polling import Polling, run_to_end
from ckgit.orchestrators.engine.results import AdvanceResult
from ckgit.orchestrators.run.apply import apply_commit, hand_over_to_scheduler, prepare
from ckgit.orchestrators.run.decisions import Commit, Continue, Finish, Poll, Refuse, Secure, Subject, Submit

if TYPE_CHECKING:
    from ckgit.orchestrators.run.monitor.monitor import Monitor

LISTED = 5  # jobs that an error names


def advance(lab: Lab, name: str, options: AdvanceOptions, events: Events) -> AdvanceResult:
    """Go through `advancing` to its end."""
    return run_to_end(advancing(lab, name, options, events))


def advancing(lab: Lab, name: str, options: AdvanceOptions, events: Events) -> Polling[AdvanceResult]:
    """Make the next transition, or all up to a state. Where jobs run, waiting for them is part of it.

    Raises:
        CkgitError: there is nothing to do, someone else moved the branch, or a transition cannot be made.
    """
    observer = Observer(open_for_update(lab, name, events), options, events)
    check_at(observer.view, options.at)
    begun = observer.view.snapshot.state
    commits: list[RecordedCommit] = []
    try:
        while True:
            decision = plan(observer.observe(), options)
            if observer.follows and not isinstance(decision, Poll):
                events.emit(Progressed(experiment=name))  # whatever was drawn of it is over
            if isinstance(decision, Refuse):
                raise decision.error
            if isinstance(decision, Finish):
                return decision.result._replace(commits=commits)
            if isinstance(decision, Commit):
                commits.append(apply_commit(observer.view, decision, events))
                if decision.result:
                    return decision.result._replace(commits=commits)
                options = options._replace(retry=None)  # what is asked for once
                observer = Observer(open_experiment(lab, name), options, events, begun=begun, own=True)
            else:
                observer = yield from _follow(observer, decision)
    except KeyboardInterrupt:
        if not observer.follows:
            raise
        events.emit(Progressed(experiment=name))
        raise _detached(observer.view, observer.stage.open(), options) from None


def _follow(observer: Observer, decision: Poll | Submit | Continue | Secure) -> Polling[Observer]:
    """Ask the scheduler, or hand over to it; the observer that goes on, which is another one where the branch has moved meanwhile."""
    try:
        if isinstance(decision, Poll):
            yield from _look(observer, decision)
        else:
            hand_over_to_scheduler(observer.stage, decision)
    except BranchMoved:
        monitor = observer.stage.open()
        observer.events.emit(Progressed(experiment=observer.view.name))
        return observer.from_commit(_moved_on(observer.view, monitor), monitor.poller.queries)
    return observer


def _look(observer: Observer, look: Poll) -> Polling[None]:
    """Ask the scheduler, after a while.

    Raises:
        BranchMoved: someone else moved the branch meanwhile.
    """
    if look.subject is Subject.JOBS:
        prepare(observer.stage)
        if look.after and observer.options.wait:
            observer.stage.open().tell_progress()
    if look.after:
        yield look.after
    if look.subject is Subject.SUCCESSOR:
        observer.look_at_successor()
    elif look.subject is Subject.CONTINUATION:
        observer.stage.look_at_continuation()
    else:
        observer.stage.open().poll()
        check_unmoved(observer.view)


def _moved_on(view: ExperimentView, monitor: Monitor) -> ExperimentView:
    """The branch moved while we waited: go on where the same attempts are still open, else say what became of it."""
    try:
        take_snapshot(view.lab, view.name)
    except DeletedError:
        raise _left_behind(view, monitor, "the branch was deleted") from None
    after = open_experiment(view.lab, view.name)
    still = {attempt.token for attempt in (after.ledger.open() if after.ledger else ())}
    if after.snapshot.state is view.snapshot.state and {attempt.token for attempt in monitor.followed.attempts} <= still:
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


def _detached(view: ExperimentView, monitor: Monitor, options: AdvanceOptions) -> CkgitError:
    to = f" --to {options.to}" if options.to and not options.detach else ""
    back = f"ckgit advance {view.name}" + (" --detach" if options.detach else to)
    return CkgitError(
        f"detached from {view.name}; its jobs go on without ckgit ({monitor.seen().in_words})",
        code=Exit.INTERRUPTED,
        state="what was committed stands",
        next=f"{back} comes back to them; ckgit cancel {view.name} ends them",
    )
