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

TRAILERS = ("Ckgit-Experiment", "Ckgit-Event", "Ckgit-From", "Ckgit-To", "Ckgit-Design", "Ckgit-Version")
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


class Transition(NamedTuple):
    """One legal transition. `source` is None for the first commit of a branch."""

    event: Event
    source: State | None
    target: State


@functools.cache
def machine() -> Machine:
    """The lifecycle as a machine. It holds no experiment; it is asked only."""
    from transitions import Machine

    designed, scaffolded, trained, evaluated, analyzed = map(str, State)  # the library takes an enum's names, and we want its values
    built = Machine(model=None, states=[NO_STATE, *map(str, State)], initial=NO_STATE, auto_transitions=False)
    built.add_transition(str(Event.DESIGN), NO_STATE, designed)
    built.add_transition(str(Event.SCAFFOLD), designed, scaffolded)
    for event in (Event.SUBMIT, Event.FAIL, Event.RETRY, Event.CANCEL):
        built.add_transition(str(event), [scaffolded, trained], "=")
    built.add_transition(str(Event.TRAIN), scaffolded, trained)
    built.add_transition(str(Event.EVALUATE), trained, evaluated)
    built.add_transition(str(Event.ANALYZE), evaluated, analyzed)
    built.add_transition(str(Event.REVISE), [*map(str, State)], designed)
    return built


def legal(state: State | None) -> tuple[Event, ...]:
    """Events that may follow in a state, or before the first commit."""
    return tuple(Event(name) for name in machine().get_triggers(str(state or NO_STATE)))


def legal_transitions() -> list[Transition]:
    """Every legal transition, state by state."""
    return [Transition(event, state, check_edge(event, state)) for state in (None, *State) for event in legal(state)]


@functools.cache
def check_edge(event: Event, source: State | None) -> State:
    """The state after an event.

    Raises:
        CkgitError: the event is not legal in this state; lists the legal ones.
    """
    found = machine().get_transitions(str(event), str(source or NO_STATE))
    if not found:
        raise CkgitError(
            f"{event} is not a legal step from {source or 'nothing'}",
            code=Exit.ILLEGAL_TRANSITION,
            state="nothing was written",
            next=f"legal from here: {', '.join(legal(source)) or 'none'}",
        )
    return State(str(found[0].dest))


def step_problem(event: str, source: str, target: str, before: str | None = None) -> str | None:
    """Why a commit cannot record what its trailers say; None where it can.

    Args:
        before: the state that the commit before it led to, where that is known.
    """
    known = machine().states  # the library takes `*` for any state
    if source not in known or target not in known or not machine().get_transitions(event, source, target):
        return f"{event}: {source} -> {target} is not a legal step"
    if before not in (None, source) and source != NO_STATE:  # a name that is used again begins anew
        return f"it begins at {source}, and the commit before it led to {before}"
    return None


def diagram() -> str:
    """The lifecycle as a Mermaid state diagram."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for event, source, target in legal_transitions():
        grouped.setdefault((str(source or "[*]"), str(target)), []).append(str(event))
    arrows = [f"    {source} --> {target}: {', '.join(events)}" for (source, target), events in grouped.items()]
    return "\n".join(["stateDiagram-v2", *arrows]) + "\n"
