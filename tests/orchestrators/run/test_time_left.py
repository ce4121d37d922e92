"""When all will have ended, by what is known of how long jobs take."""

from __future__ import annotations

import pytest

from ckgit.experiment.design.model import Stage
from ckgit.experiment.outputs.events import JobProgress
from ckgit.orchestrators.run.monitor.time_left import TimeLeft

STAGES = {"a": Stage.TRAINING, "b": Stage.TRAINING, "c": Stage.EVALUATION, "d": Stage.EVALUATION}
EXPECTED = {"a": 100.0, "b": 100.0, "c": 10.0, "d": 10.0}


def left(*running: JobProgress, unfinished: str, at_once: int = 1, took: dict[str, float] | None = None, expected=EXPECTED) -> float | None:
    return TimeLeft(expected, STAGES, took or {}).of(running, list(unfinished), at_once)


def test_nothing_runs() -> None:
    assert left(unfinished="abcd") is None


def test_what_is_expected_where_nothing_is_known_yet() -> None:
    assert left(JobProgress(job="a", elapsed=30), unfinished="abcd") == 70 + 100 + 10 + 10


def test_jobs_side_by_side() -> None:
    both = [JobProgress(job="a", elapsed=0), JobProgress(job="b", elapsed=0)]
    assert left(*both, unfinished="abcd", at_once=2) == 110
    assert left(both[0], unfinished="ac", at_once=5) == 100  # no less than the longest that runs


def test_what_a_running_job_says_counts_for_it_and_for_its_like() -> None:
    slow = JobProgress(job="a", elapsed=100, seconds_left=100.0)  # twice what was expected
    assert left(slow, unfinished="ab") == 100 + 200
    assert left(slow, unfinished="ac", took={"d": 10.0}) == 100 + 10  # evaluations are another matter
    assert left(slow, unfinished="ac") == 100 + 20  # of which nothing is known yet


def test_what_jobs_took_counts_for_the_others() -> None:
    assert left(JobProgress(job="d", elapsed=5), unfinished="d", took={"c": 30.0}) == 25


def test_without_an_estimate_the_mean_of_those_that_are_done() -> None:
    assert left(JobProgress(job="d", elapsed=5), unfinished="d", took={"c": 30.0}, expected={}) == 25
    assert left(JobProgress(job="d", elapsed=5), unfinished="d", expected={}) is None


@pytest.mark.parametrize("elapsed", [100.0, 500.0])
def test_a_job_that_is_over_its_time_says_nothing(elapsed: float) -> None:
    assert left(JobProgress(job="a", elapsed=elapsed), unfinished="ab") is None
