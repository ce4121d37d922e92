"""The lifecycle of an experiment: one machine of the `transitions` library says what is legal, what may follow, and if a history holds.

The library is imported where the machine is asked, since that costs 12 ms: reading a state needs the names alone.
"""

from __future__ import annotations

import functools
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.state import State

if TYPE_CHECKING:
    from transitions import Machine

STEP_TRAILERS = ("Ckgit-Experiment", "Ckgit-Event", "Ckgit-From", "Ckgit-To", "Ckgit-Design")  # without which a commit records no step
TRAILERS = (*STEP_TRAILERS, "Ckgit-Version", "Ckgit-Build")
ORDER: tuple[State, ...] = tuple(State)
NO_STATE = "none"  # before the first commit of a branch, as that commit's trailers write it


class Event(StrEnum):
    """What a commit on an experiment's branch records."""

    DESIGN = "design"
    SCAFFOLD = "scaffold"
    SUBMIT = "submit"
    TRAIN = "train"
    EVALUATE = "evaluate"
    ANALYZE = "analyze"
    FAIL = "fail"
    RETRY = "retry"
    CANCEL = "cancel"
    REVISE = "revise"
    CLOSE = "close"
    REOPEN = "reopen"
    CLEAN = "clean"


_CLOSED = " (closed)"


def standing(event: str, target: str) -> str:
    """Where an experiment stands after a step: in the state that it led to; closed, where it was the step that closes it."""
    return f"{target}{_CLOSED}" if event == Event.CLOSE else target


def state_of(standing: str) -> str:
    """The state of where an experiment stands, closed or not."""
    return standing.removesuffix(_CLOSED)


def is_closed(standing: str | None) -> bool:
    """Whether an experiment that stands there is closed."""
    return standing is not None and standing.endswith(_CLOSED)


class Transition(NamedTuple):
    """One legal transition, from where an experiment stands to where it stands then. `source` is None for the first commit of a branch."""

    event: Event
    source: str | None
    target: str


@functools.cache
def machine() -> Machine:
    """The lifecycle as a machine. It holds no experiment; it is asked only."""
    from transitions import Machine

    designed, scaffolded, trained, evaluated, analyzed = map(str, State)  # the library takes an enum's names, and we want its values
    closed = [standing(Event.CLOSE, state) for state in State]
    built = Machine(model=None, states=[NO_STATE, *map(str, State), *closed], initial=NO_STATE, auto_transitions=False)
    built.add_transition(str(Event.DESIGN), NO_STATE, designed)
    built.add_transition(str(Event.SCAFFOLD), designed, scaffolded)
    for event in (Event.SUBMIT, Event.FAIL, Event.RETRY, Event.CANCEL):
        built.add_transition(str(event), [scaffolded, trained], "=")
    built.add_transition(str(Event.TRAIN), scaffolded, trained)
    built.add_transition(str(Event.EVALUATE), trained, evaluated)
    built.add_transition(str(Event.ANALYZE), [evaluated, analyzed], analyzed)  # again where the report would be another one
    built.add_transition(str(Event.REVISE), [*map(str, State)], designed)
    built.add_transition(str(Event.CLEAN), [*map(str, State)], "=")
    for state, end in zip(State, closed, strict=True):
        built.add_transition(str(Event.CLOSE), str(state), end)
        built.add_transition(str(Event.REOPEN), end, str(state))
    return built


def legal(standing: str | None) -> tuple[Event, ...]:
    """Events that may follow where an experiment stands, or before the first commit."""
    return tuple(Event(name) for name in machine().get_triggers(str(standing or NO_STATE)))


def legal_transitions() -> list[Transition]:
    """Every legal transition, by where it begins."""
    begins = (None, *map(str, State), *(standing(Event.CLOSE, state) for state in State))
    return [Transition(event, begin, _dest(event, begin)) for begin in begins for event in legal(begin)]


def _dest(event: Event, standing: str | None) -> str:
    """Where an event leads; empty where it is not legal."""
    return next((str(found.dest) for found in machine().get_transitions(str(event), str(standing or NO_STATE))), "")


@functools.cache
def check_edge(event: Event, source: str | None) -> State:
    """The state after an event.

    Args:
        source: where the experiment stands; None before the first commit.

    Raises:
        CkgitError: the event is not legal there; lists the legal ones.
    """
    if dest := _dest(event, source):
        return State(state_of(dest))
    raise CkgitError(
        f"{event} is not a legal step from {source or 'nothing'}",
        code=Exit.ILLEGAL_TRANSITION,
        state="nothing was written",
        next=f"legal from here: {', '.join(legal(source)) or 'none'}",
    )


def refuse_closed(name: str, standing: str) -> None:
    """Refuse to go on with an experiment that is closed, from which no step leads but the one that reopens it.

    Raises:
        CkgitError: ILLEGAL_TRANSITION.
    """
    if is_closed(standing):
        raise CkgitError(
            f"{name} is closed; it was {state_of(standing)}",
            code=Exit.ILLEGAL_TRANSITION,
            where=name,
            state="nothing was changed",
            next=f"ckgit close {name} --reopen opens it again; ckgit show {name} says why it was closed",
        )


def step_problem(event: str, source: str, target: str, before: str | None = None) -> str | None:
    """Why a commit cannot record what its trailers say; None where it can.

    Args:
        source: state that it begins at, and `target` the one that it leads to.
        before: where the experiment stood after the commit before it, where that is known.
    """
    known = (NO_STATE, *map(str, State))
    begins = [str(begin) for begin in (source, standing(Event.CLOSE, source)) if source in known and begin in machine().states]
    found = [begin for begin in begins for step in machine().get_transitions(event, begin) if state_of(str(step.dest)) == target]
    if not found:
        return f"{event}: {source} -> {target} is not a legal step"
    if before in (None, *found) or source == NO_STATE:  # a name that is used again begins anew
        return None
    if state_of(before or "") != source:
        return f"it begins at {source}, and the commit before it led to {before}"
    return f"it was closed before, and only {' or '.join(legal(before))} follows" if is_closed(before) else f"{event} of what is not closed"


def diagram() -> str:
    """The lifecycle as a Mermaid state diagram. What is open in any state can be closed in it, and reopened."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for event, source, target in legal_transitions():
        ends = [("closed" if is_closed(end) else "open", str(end or "[*]")) for end in (source, target)]
        (out, begin), (to, end) = ends
        events = grouped.setdefault((begin, end) if out == to else (out, to), [])
        events += [] if str(event) in events else [str(event)]
    arrows = {way: f"{way[0]} --> {way[1]}: {', '.join(events)}" for way, events in grouped.items()}
    outside = [arrow for way, arrow in arrows.items() if "open" in way]
    inside = [f"    {arrow}" for arrow in arrows.values() if arrow not in outside]
    return "\n".join(["stateDiagram-v2", *(f"    {line}" for line in ["state open {", *inside, "}", *outside])]) + "\n"
