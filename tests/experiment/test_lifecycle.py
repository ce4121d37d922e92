"""The machine of the lifecycle, and what is asked of it."""

import itertools
import re

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import (
    ORDER,
    Event,
    check_edge,
    diagram,
    legal,
    legal_transitions,
    machine,
    refuse_closed,
    standing,
    state_of,
    step_problem,
)
from ckgit.experiment.state import State

EVERY_STEP = {
    ("design", None, "designed"),
    ("scaffold", "designed", "scaffolded"),
    ("train", "scaffolded", "trained"),
    ("evaluate", "trained", "evaluated"),
    ("analyze", "evaluated", "analyzed"),
    ("analyze", "analyzed", "analyzed"),
    *((event, state, state) for event in ("submit", "fail", "retry", "cancel") for state in ("scaffolded", "trained")),
    *(("clean", state, state) for state in ("designed", "scaffolded", "trained", "evaluated", "analyzed")),
    *(("revise", state, "designed") for state in ("designed", "scaffolded", "trained", "evaluated", "analyzed")),
}
CLOSED = {state: standing("close", state) for state in State}
CLOSING = {("close", state, closed) for state, closed in CLOSED.items()} | {("reopen", closed, state) for state, closed in CLOSED.items()}
EVERYWHERE = [None, *State, *CLOSED.values()]


def test_these_steps_are_legal_and_no_others():
    assert set(legal_transitions()) == EVERY_STEP | CLOSING
    assert len(legal_transitions()) == len(EVERY_STEP | CLOSING)


@pytest.mark.parametrize(("event", "source"), list(itertools.product(Event, EVERYWHERE)))
def test_a_step_leads_where_it_should_and_an_illegal_one_is_refused_with_those_that_are_legal(event, source):
    [*targets] = [target for name, state, target in EVERY_STEP | CLOSING if (name, state) == (event, source)]
    assert len(targets) <= 1
    if targets:
        assert check_edge(event, source) is State(state_of(targets[0]))
        return
    with pytest.raises(CkgitError, match=re.escape(f"{event} is not a legal step from {source or 'nothing'}")) as caught:
        check_edge(event, source)
    assert caught.value.code is Exit.ILLEGAL_TRANSITION
    told = set(caught.value.next.removeprefix("legal from here: ").split(", "))
    assert told == set(legal(source)) == {name for name, state, _ in EVERY_STEP | CLOSING if state == source}


@pytest.mark.parametrize("words", [(event, source or "none", target) for event, source, target in EVERY_STEP])
def test_a_recorded_step_is_judged_by_the_same_machine(words):
    event, source, target = words
    assert step_problem(event, source, target) is None
    assert step_problem(event, source, target, before=source) is None
    other = next(state for state in State if state != target)
    assert step_problem(event, source, other) == f"{event}: {source} -> {other} is not a legal step"


@pytest.mark.parametrize(
    "words", [("to_analyzed", "designed", "analyzed"), ("revise", "*", "*"), ("revise", "*", "designed"), ("", "", "")]
)
def test_what_a_forger_could_write_is_no_step(words):
    assert "is not a legal step" in (step_problem(*words) or "")


def test_a_step_follows_from_the_one_before():
    assert step_problem("evaluate", "trained", "evaluated", before="scaffolded") == (
        "it begins at trained, and the commit before it led to scaffolded"
    )
    assert step_problem("design", "none", "designed", before="analyzed") is None


def test_the_machine_cannot_be_told_to_go_anywhere():
    assert {name for name in machine().events if name.startswith("to")} == set()


def test_each_state_is_left_for_the_next_by_one_event_only():
    for source, target in itertools.pairwise(ORDER):
        assert len([step for step in legal_transitions() if (step.source, step.target) == (source, target)]) == 1


def test_the_diagram_has_every_step():
    arrows = [line.strip().partition(": ") for line in diagram().splitlines()[1:] if "-->" in line]
    drawn = {(event, *steps.split(" --> ")) for steps, _, events in arrows for event in events.split(", ")}
    assert drawn == {
        *((event, source or "[*]", target) for event, source, target in EVERY_STEP),
        ("close", "open", "closed"),
        ("reopen", "closed", "open"),
    }


@pytest.mark.parametrize("state", State)
def test_what_is_closed_is_only_reopened(state):
    assert step_problem("close", state, state, before=state) is step_problem("reopen", state, state, before=CLOSED[state]) is None
    assert step_problem("revise", state, "designed", before=CLOSED[state]) == "it was closed before, and only reopen follows"
    assert step_problem("close", state, state, before=CLOSED[state]) == "it was closed before, and only reopen follows"
    assert step_problem("reopen", state, state, before=state) == "reopen of what is not closed"
    assert step_problem("design", "none", "designed", before=CLOSED[state]) is None  # a name that was used again
    for words in (("close", CLOSED[state], state), ("close", state, CLOSED[state]), ("reopen", "none", "none"), ("close", "none", "none")):
        assert "is not a legal step" in (step_problem(*words) or "")
    with pytest.raises(CkgitError, match="cap is closed") as caught:
        refuse_closed("cap", CLOSED[state])
    assert "ckgit close cap --reopen" in caught.value.next
    refuse_closed("cap", state)
