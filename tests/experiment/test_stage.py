"""The table of stages and the lifecycle say the same."""

from ckgit.experiment.lifecycle import ORDER, Event, Transition, legal_transitions
from ckgit.experiment.stage import STAGES, TABLE, Stage
from ckgit.experiment.state import State


def test_every_stage_is_passed_by_an_edge_of_the_lifecycle():
    assert {Transition(row.event, row.begins, row.ends) for row in TABLE.values()} <= set(legal_transitions())
    assert list(TABLE) == list(Stage)


def test_jobs_are_submitted_in_the_states_of_stages_alone():
    assert {edge.source for edge in legal_transitions() if edge.event is Event.SUBMIT} == set(STAGES)
    assert [row.begins for row in TABLE.values()] == [State.SCAFFOLDED, State.TRAINED]


def test_a_stage_begins_where_the_one_before_has_ended():
    first, second = TABLE.values()
    assert first.ends is second.begins
    assert ORDER.index(second.ends) == ORDER.index(first.ends) + 1
