"""The lifecycle's table and the machine that is made from it."""

import itertools

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import EDGES, ORDER, Event, check_edge, legal, machine
from ckgit.experiment.state import State


@pytest.mark.parametrize(("event", "source"), list(itertools.product(Event, [None, *State])))
def test_a_step_is_legal_where_the_table_has_it_and_nowhere_else(event, source):
    [*targets] = [edge.target for edge in EDGES if (edge.event, edge.source) == (event, source)]
    assert len(targets) <= 1
    if targets:
        assert check_edge(event, source) is targets[0]
        return
    with pytest.raises(CkgitError, match=f"{event} is not a legal step from {source or 'nothing'}") as caught:
        check_edge(event, source)
    assert caught.value.code is Exit.ILLEGAL_TRANSITION
    assert caught.value.next == f"legal from here: {', '.join(legal(source))}"


def reached(source):
    """States to which the machine goes from one, by any number of steps."""
    seen, waiting = set(), [source]
    while waiting:
        at = waiting.pop()
        names = machine(at).get_triggers(machine(at).state)
        found = {check_edge(Event(name), at) for name in names} - seen
        seen |= found
        waiting += found
    return seen


@pytest.mark.parametrize("source", [None, *State])
def test_every_state_is_reached_from_everywhere_and_the_start_from_nowhere(source):
    assert reached(source) == set(State) == set(ORDER)


def test_each_state_is_left_for_the_next_by_one_event_only():
    for source, target in itertools.pairwise(ORDER):
        assert len([edge for edge in EDGES if (edge.source, edge.target) == (source, target)]) == 1


def test_only_revise_goes_back():
    back = [edge for edge in EDGES if edge.source and ORDER.index(edge.target) < ORDER.index(edge.source)]
    assert {edge.event for edge in back} == {Event.REVISE}
