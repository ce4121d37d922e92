"""advance: whatever comes next for an experiment, until it is where it is wanted.

What runs jobs is imported where a job is to be run: a transition without jobs has a quarter of a second in all.
"""

from __future__ import annotations

from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import STAGES, Ledger
from ckgit.experiment.lifecycle import ORDER, Event
from ckgit.formats.listing import plural
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot import take_snapshot
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import (
    CommitPlan,
    ExperimentView,
    RecordedCommit,
    commit,
    open_experiment,
    open_for_update,
    prepare,
)
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.engine.polling import Polling, run_to_end
from ckgit.orchestrators.engine.results import AdvanceResult
from ckgit.orchestrators.scaffold.scaffold import scaffold


def advance(lab: Lab, name: str, *, to: State | None, options: AdvanceOptions, events: Events, cluster: str | None = None) -> AdvanceResult:
    """Go through `advancing` to its end."""
    return run_to_end(advancing(lab, name, to=to, options=options, events=events, cluster=cluster))


def advancing(
    lab: Lab, name: str, *, to: State | None, options: AdvanceOptions, events: Events, cluster: str | None = None
) -> Polling[AdvanceResult]:
    """Make the next transition, or all up to a state. Where jobs run, waiting for them is part of it.

    Args:
        to: the state to reach; None is one transition.
        cluster: name of the profile that is to take over, where it is another one.

    Raises:
        CkgitError: there is nothing to do, someone else moved the branch, or a transition cannot be made.
    """
    view = open_for_update(lab, name, events)
    commits: list[RecordedCommit] = []
    if options.token and (yield from _is_replaced(view, options)):
        state = view.snapshot.state
        return AdvanceResult(name, state, Exit.DONE, [], f"nothing to do: {name} is not left to this job any more", _next(name, state))
    if cluster and (moved := _change_cluster(view, cluster, events)):
        commits.append(moved)
        view = open_experiment(lab, name)
    start = view.snapshot.state
    if to is start and to is not None:
        return AdvanceResult(name, start, Exit.DONE, commits, f"nothing to do: {name} is {start}", _next(name, start))
    target = check_target(name, start, to)
    if options.detach:
        from ckgit.orchestrators.run.detach import check_detachable

        check_detachable(view.context.cluster)
    while True:
        found = yield from transition(view, options, events)
        commits += found.commits
        state = _state_after(lab, name, found)
        if found.code is not Exit.DONE:
            return final_result(lab, name, found._replace(commits=commits), left_to=options.detach)
        if ORDER.index(state) >= ORDER.index(target):
            break
        view = open_experiment(lab, name)
    return AdvanceResult(name, state, Exit.DONE, commits, f"{name} is {state}", _next(name, state))


def _is_replaced(view: ExperimentView, options: AdvanceOptions) -> Polling[bool]:
    from ckgit.orchestrators.run.continuation import is_replaced

    return (yield from is_replaced(view, options))


def _change_cluster(view: ExperimentView, cluster: str, events: Events) -> RecordedCommit | None:
    """Have another profile take over; None where it is the one that it was."""
    from ckgit.orchestrators.run.change_cluster import change_cluster
    from ckgit.orchestrators.run.detach import end_detached

    if not (step := change_cluster(view, cluster)):
        return None
    recorded = commit(view, step, events)
    if view.ledger:
        end_detached(view, view.ledger)  # on the cluster before
    return recorded


def require(view: ExperimentView, *states: State) -> None:
    """Raise when an experiment is in none of these states."""
    if view.snapshot.state not in states:
        raise CkgitError(
            f"{view.name} is {view.snapshot.state}; this needs it to be {' or '.join(states)}",
            code=Exit.ILLEGAL_TRANSITION,
            state="nothing was changed",
            next=f"ckgit status {view.name}",
        )


def final_result(lab: Lab, name: str, found: AdvanceResult, *, left_to: State | None = None) -> AdvanceResult:
    """What a command came to, with the state that the experiment is in after it.

    Args:
        left_to: the state that its cluster is to take it on to.
    """
    state = _state_after(lab, name, found)
    if found.code is Exit.IN_FLIGHT and left_to:
        left = f"{name} is left to its cluster, which takes it on to {left_to}: {found.message}"
        return AdvanceResult(name, state, Exit.DONE, found.commits, left, f"ckgit status {name}; ckgit cancel {name} ends it")
    return AdvanceResult(name, state, found.code, found.commits, found.message or f"{name} is {state}", found.next or _next(name, state))


def _state_after(lab: Lab, name: str, found: AdvanceResult) -> State:
    """The state that an experiment is in: that of a commit which ended a transition without jobs, or else as its branch says now."""
    last = found.commits[-1] if found.commits else None
    return last.target if last and last.event in (Event.SCAFFOLD, Event.ANALYZE) else take_snapshot(lab, name).state


def check_target(name: str, state: State, to: State | None) -> State:
    """The state to reach from `state`.

    Raises:
        CkgitError: there is none, or it lies behind.
    """
    position = ORDER.index(state)
    if to is None and position == len(ORDER) - 1:
        raise CkgitError(
            f"nothing to do: {name} is {state} already",
            code=Exit.ILLEGAL_TRANSITION,
            state="nothing was changed",
            next=f"ckgit show {name}; ckgit revise {name} takes it back to designed",
        )
    if to is not None and ORDER.index(to) < position:
        raise CkgitError(
            f"{name} is {state}, which is past {to}",
            code=Exit.ILLEGAL_TRANSITION,
            state="nothing was changed",
            next=f"ckgit revise {name} takes it back to designed",
        )
    return to or ORDER[position + 1]


def transition(view: ExperimentView, options: AdvanceOptions, events: Events) -> Polling[AdvanceResult]:
    """One transition, or as much of it as can be made now."""
    if view.snapshot.state in STAGES:
        from ckgit.orchestrators.run.run import run_stage

        return (yield from run_stage(view, options, events))
    return AdvanceResult(view.name, view.snapshot.state, Exit.DONE, [commit(view, still_step(view), events)], "")


def still_step(view: ExperimentView) -> CommitPlan:
    """The commit of a transition that runs no job."""
    if view.snapshot.state is State.DESIGNED:
        return scaffold(view)
    from ckgit.orchestrators.analyze import analyze

    ledger = _accounted(view)
    files = analyze(view.lab, view.snapshot, ledger)
    text = f"Wrote {plural(len(files), 'file')}; the report is {view.path('analysis/report.md')}."
    return prepare(view, Event.ANALYZE, files=files, logs={}, ledger=ledger, body=text, time=now())


def _accounted(view: ExperimentView) -> Ledger | None:
    """The ledger with what accounting has come to know since the last jobs ended; as it is where that cannot be asked from here."""
    from ckgit.orchestrators.run.usage import fill, lacking

    ledger = view.ledger and view.ledger.model_copy(update={"detached": None})
    if not ledger or not (late := lacking(ledger)) or not Path(ledger.work_tree).is_dir():
        return ledger
    cluster = view.context.cluster
    return fill(ledger, scheduler_for(cluster).usage(cluster, Path(ledger.work_tree), late).usage)


def _next(name: str, state: State) -> str:
    return f"ckgit show {name}" if state is State.ANALYZED else f"ckgit advance {name}"
