"""The lifecycle of an experiment as one table, on the `transitions` library.

`transitions` is imported only where a machine is built, to move a state: reading one needs the table alone.
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


class Edge(NamedTuple):
    """One legal transition. `source` is None for the first commit of a branch."""

    event: Event
    source: State | None
    target: State


D, S, T, E, A = State.DESIGNED, State.SCAFFOLDED, State.TRAINED, State.EVALUATED, State.ANALYZED
EDGES: tuple[Edge, ...] = (
    Edge(Event.DESIGN, None, D),
    Edge(Event.SCAFFOLD, D, S),
    *(Edge(event, S, S) for event in (Event.SUBMIT, Event.FAIL, Event.RETRY, Event.CANCEL)),
    Edge(Event.TRAIN, S, T),
    *(Edge(event, T, T) for event in (Event.SUBMIT, Event.FAIL, Event.RETRY, Event.CANCEL)),
    Edge(Event.EVALUATE, T, E),
    Edge(Event.ANALYZE, E, A),
    *(Edge(Event.REVISE, state, D) for state in (D, S, T, E, A)),
)
ORDER: tuple[State, ...] = (D, S, T, E, A)
_START = "none"  # before the first commit, as the trailers of that commit write it


def legal(state: State | None) -> tuple[Event, ...]:
    """Events that may follow in a state."""
    return tuple(edge.event for edge in EDGES if edge.source == state)


@functools.cache
def check_edge(event: Event, source: State | None) -> State:
    """The state after an event.

    Raises:
        CkgitError: the event is not legal in this state; lists the legal ones.
    """
    from transitions import MachineError

    moved = machine(source)
    try:
        moved.trigger(str(event))
    except MachineError:
        raise CkgitError(
            f"{event} is not a legal step from {source or 'nothing'}",
            code=Exit.ILLEGAL_TRANSITION,
            state="nothing was written",
            next=f"legal from here: {', '.join(legal(source)) or 'none'}",
        ) from None
    return State(moved.state)


def machine(source: State | None) -> Machine:
    """The table as a `transitions` machine in a state, or before the first commit."""
    from transitions import Machine

    edges = [[str(edge.event), str(edge.source or _START), str(edge.target)] for edge in EDGES]
    return Machine(states=[_START, *map(str, ORDER)], initial=str(source or _START), transitions=edges, auto_transitions=False)


def diagram() -> str:
    """The lifecycle as a Mermaid state diagram."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for edge in EDGES:
        grouped.setdefault((str(edge.source or "[*]"), str(edge.target)), []).append(str(edge.event))
    arrows = [f"    {source} --> {target}: {', '.join(events)}" for (source, target), events in grouped.items()]
    return "\n".join(["stateDiagram-v2", *arrows]) + "\n"
