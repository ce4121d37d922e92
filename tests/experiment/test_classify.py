"""Where a job stands, by its attempt, its scheduler and what was accepted; and that the outline of a ledger says the same as its model."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckgit.experiment.classify import JobCondition, classify, counted, named, newest, read_outline
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, Detached, FailureClass, Ledger, Phase
from ckgit.experiment.scheduler import JobState
from ckgit.experiment.state import State

C = JobCondition


def attempt(phase: Phase, failure: FailureClass | None = None, *, job: str = "a/finetune", number: int = 1, **more: object) -> Attempt:
    fields = {"script_sha256": "0" * 64, "submitted": "2026-11-23T20:00:00Z", "token": f"{job}.{number}", **more}
    return Attempt(job=job, stage=Stage.TRAINING, number=number, phase=phase, failure=failure, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("phase", "failure", "seen", "accepted", "condition"),
    [
        (Phase.DONE, None, "", False, C.DONE),
        (Phase.DONE, None, "running", True, C.DONE),  # what is done is not missing
        (Phase.FAILED, FailureClass.ERROR, "", False, C.FAILED),
        (Phase.FAILED, FailureClass.LOST, "", False, C.LOST),
        (Phase.FAILED, FailureClass.ERROR, "running", False, C.FAILED),  # the ledger has judged
        (Phase.FAILED, FailureClass.LOST, "", True, C.ACCEPTED),
        (Phase.CANCELLED, FailureClass.CANCELLED, "", False, C.CANCELLED),
        (Phase.SUBMITTED, None, "", False, C.SUBMITTED),
        (Phase.SUBMITTED, None, "unseen", False, C.UNSEEN),
        (Phase.SUBMITTED, None, "queued", False, C.QUEUED),
        (Phase.SUBMITTED, None, "running", False, C.RUNNING),
        (Phase.SUBMITTED, None, "gone", False, C.ENDED),
        (Phase.SUBMITTED, None, "unknown", False, C.UNKNOWN),
    ],
)
def test_where_a_job_stands(phase: Phase, failure: FailureClass | None, seen: str, accepted: bool, condition: C) -> None:
    assert classify(attempt(phase, failure), seen=seen, accepted=accepted) is condition


def test_a_job_without_an_attempt() -> None:
    assert classify(None) is C.UNSUBMITTED
    assert classify(None, accepted=True) is C.ACCEPTED


def test_each_condition_is_open_or_bad_or_neither() -> None:
    assert {each for each in C if each.is_open} == {C.SUBMITTED, C.UNSEEN, C.QUEUED, C.RUNNING, C.ENDED, C.UNKNOWN}
    assert {each for each in C if each.is_bad} == {C.FAILED, C.CANCELLED, C.LOST}


def test_every_phase_and_every_state_of_a_scheduler_has_its_condition() -> None:
    assert {classify(attempt(phase)) for phase in Phase} == {C.SUBMITTED, C.DONE, C.FAILED, C.CANCELLED}
    assert [named(state) for state in JobState] == [C.UNSEEN, C.QUEUED, C.RUNNING, C.ENDED, C.UNKNOWN]


def test_counted_in_words() -> None:
    assert counted([C.RUNNING, C.DONE, C.LOST, C.RUNNING]) == "1 of 4 done, 2 running, 1 lost"
    assert counted([]) == "0 of 0 done"


ATTEMPTS = st.builds(
    attempt,
    st.sampled_from(Phase),
    st.none() | st.sampled_from(FailureClass),
    job=st.sampled_from(["a/finetune", "b/finetune", "b/eval/x"]),
    number=st.integers(1, 3),
    reason=st.none() | st.text(),
    cells=st.sampled_from([{}, {"x": "", "y": "why"}]),
    token=st.text(min_size=1, max_size=5),
)
DETACHED = st.none() | st.builds(Detached, token=st.text(min_size=1), to=st.sampled_from(State), submitted=st.just("2026-11-23T20:00:00Z"))
LEDGERS = st.builds(
    Ledger,
    cluster=st.text(),
    scheduler=st.text(),
    design=st.text(),
    commit=st.text(),
    work_tree=st.text(),
    accepted_missing=st.lists(st.text()).map(tuple),
    detached=DETACHED,
    attempts=st.lists(ATTEMPTS, max_size=6).map(tuple),
)


@given(LEDGERS)
def test_the_outline_of_a_ledger_says_what_its_model_says(ledger: Ledger) -> None:
    outline = read_outline(ledger.dump())
    same = ("cluster", "scheduler", "design", "commit", "work_tree")
    assert [getattr(outline, name) for name in same] == [getattr(ledger, name) for name in same]
    assert tuple(outline.accepted_missing) == ledger.accepted_missing
    assert outline.tokens == ledger.tokens
    ours, theirs = newest(outline.attempts), newest(ledger.attempts)
    assert {job: classify(each) for job, each in ours.items()} == {job: classify(each) for job, each in theirs.items()}
    for mine, other in zip(outline.attempts, ledger.attempts, strict=True):
        assert mine[:7] == (other.job, other.stage, other.number, other.token, other.phase, other.failure, other.reason)
        assert mine.cells == bool(other.cells)


WHOLE = json.loads(Ledger(cluster="local", scheduler="local", attempts=(attempt(Phase.DONE),)).dump())


@pytest.mark.parametrize(
    "change",
    [
        {"attempts": None},
        {"attempts": [{}]},
        {"attempts": [WHOLE["attempts"][0] | {"phase": "other"}]},
        {"attempts": [WHOLE["attempts"][0] | {"number": "1"}]},
        {"attempts": [WHOLE["attempts"][0] | {"phase": []}]},
        {"attempts": [WHOLE["attempts"][0] | {"reason": 7}]},
        {"cluster": None},
        {"accepted_missing": 9},
        {"accepted_missing": [9]},
        {"detached": {}},
        {"detached": 1},
        {"work_tree": {}},
    ],
)
def test_what_is_no_ledger(change: dict[str, object]) -> None:
    assert read_outline(json.dumps(WHOLE).encode()).cluster == "local"
    with pytest.raises(ValueError, match="no ledger"):
        read_outline(json.dumps(WHOLE | change).encode())
