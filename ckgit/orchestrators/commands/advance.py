"""advance: whatever comes next for an experiment, until it is where it is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import Ledger
from ckgit.experiment.lifecycle import ORDER, Event
from ckgit.formats.listing import plural
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot import take_snapshot
from ckgit.orchestrators.engine.experiment import Standing, Step, Taken, begin, prepare, stand, take
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.engine.polling import Going, complete
from ckgit.orchestrators.engine.reporter import Talk
from ckgit.orchestrators.run.change_cluster import move
from ckgit.orchestrators.run.continuation import is_replaced
from ckgit.orchestrators.run.detach import check_detachable, end_detached
from ckgit.orchestrators.run.run import run_stage
from ckgit.orchestrators.run.stage import STAGES, Passage, Wish
from ckgit.orchestrators.run.usage import fill, lacking
from ckgit.orchestrators.scaffold.scaffold import scaffold


class Outcome(NamedTuple):
    """What a command on one experiment came to."""

    experiment: str
    state: State | None  # None where the branch is gone
    code: Exit
    taken: Sequence[Taken]
    message: str
    next: str


def advance(lab: Lab, name: str, *, to: State | None, wish: Wish, talk: Talk, cluster: str | None = None) -> Outcome:
    """Go through `advancing` to its end."""
    return complete(advancing(lab, name, to=to, wish=wish, talk=talk, cluster=cluster))


def advancing(lab: Lab, name: str, *, to: State | None, wish: Wish, talk: Talk, cluster: str | None = None) -> Going[Outcome]:
    """Make the next transition, or all up to a state. Where jobs run, waiting for them is part of it.

    Args:
        to: the state to reach; None is one transition.
        cluster: name of the profile that is to take over, where it is another one.

    Raises:
        CkgitError: there is nothing to do, someone else moved the branch, or a transition cannot be made.
    """
    standing = begin(lab, name, talk)
    taken: list[Taken] = []
    if (yield from is_replaced(standing, wish)):
        state = standing.snapshot.state
        return Outcome(name, state, Exit.DONE, [], f"nothing to do: {name} is not left to this job any more", _next(name, state))
    if cluster and (step := move(standing, cluster)):
        taken.append(take(standing, step, talk))
        if standing.ledger:
            end_detached(standing, standing.ledger)  # on the cluster before
        standing = stand(lab, name)
    start = standing.snapshot.state
    if to is start and to is not None:
        return Outcome(name, start, Exit.DONE, taken, f"nothing to do: {name} is {start}", _next(name, start))
    target = check_target(name, start, to)
    if wish.detach:
        check_detachable(standing.context.cluster)
    while True:
        passage = yield from transition(standing, wish, talk)
        taken += passage.taken
        state = take_snapshot(lab, name).state
        if passage.code is not Exit.DONE:
            return outcome_of(lab, name, passage._replace(taken=taken), left_to=wish.detach)
        if ORDER.index(state) >= ORDER.index(target):
            break
        standing = stand(lab, name)
    return Outcome(name, state, Exit.DONE, taken, f"{name} is {state}", _next(name, state))


def require(standing: Standing, *states: State) -> None:
    """Raise when an experiment is in none of these states."""
    if standing.snapshot.state not in states:
        raise CkgitError(
            f"{standing.name} is {standing.snapshot.state}; this needs it to be {' or '.join(states)}",
            code=Exit.ILLEGAL_TRANSITION,
            state="nothing was changed",
            next=f"ckgit status {standing.name}",
        )


def outcome_of(lab: Lab, name: str, passage: Passage, *, left_to: State | None = None) -> Outcome:
    """What a command came to, with the state that the experiment is in after it.

    Args:
        left_to: the state that its cluster is to take it on to.
    """
    state = take_snapshot(lab, name).state
    if passage.code is Exit.IN_FLIGHT and left_to:
        left = f"{name} is left to its cluster, which takes it on to {left_to}: {passage.message}"
        return Outcome(name, state, Exit.DONE, passage.taken, left, f"ckgit status {name}; ckgit cancel {name} ends it")
    return Outcome(name, state, passage.code, passage.taken, passage.message or f"{name} is {state}", passage.next or _next(name, state))


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


def transition(standing: Standing, wish: Wish, talk: Talk) -> Going[Passage]:
    """One transition, or as much of it as can be made now."""
    if standing.snapshot.state in STAGES:
        return (yield from run_stage(standing, wish, talk))
    return Passage(Exit.DONE, [take(standing, still_step(standing), talk)], "")


def still_step(standing: Standing) -> Step:
    """The commit of a transition that runs no job."""
    if standing.snapshot.state is State.DESIGNED:
        return scaffold(standing)
    from ckgit.orchestrators.analyze import analyze

    ledger = _accounted(standing)
    files = analyze(standing.lab, standing.snapshot, ledger)
    text = f"Wrote {plural(len(files), 'file')}; the report is {standing.path('analysis/report.md')}."
    return prepare(standing, Event.ANALYZE, files=files, logs={}, ledger=ledger, body=text, time=now())


def _accounted(standing: Standing) -> Ledger | None:
    """The ledger with what accounting has come to know since the last jobs ended; as it is where that cannot be asked from here."""
    ledger = standing.ledger and standing.ledger.model_copy(update={"detached": None})
    if not ledger or not (late := lacking(ledger)) or not Path(ledger.work_tree).is_dir():
        return ledger
    cluster = standing.context.cluster
    return fill(ledger, scheduler_for(cluster).usage(cluster, Path(ledger.work_tree), late).usage)


def _next(name: str, state: State) -> str:
    return f"ckgit show {name}" if state is State.ANALYZED else f"ckgit advance {name}"
