"""Start-up and rate, fitted to jobs of any length."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckgit.experiment.estimates.calibration import Fit, PastJob, fit


def test_without_jobs_everything_is_assumed():
    assert fit(6.0, []) == Fit(6.0, 1.0)


def test_one_short_job_says_what_start_up_takes():
    found = fit(6.0, [PastJob(0.5, 22.0)])
    assert found.start + 0.5 * found.scale == pytest.approx(22.0, rel=0.01)
    assert found.start + 30 * 0.5 * found.scale < 40


def test_one_long_job_says_how_fast_the_work_goes():
    assert fit(6.0, [PastJob(7200.0, 14400.0)]) == (pytest.approx(6.0, rel=0.05), pytest.approx(2.0, rel=0.01))


def test_jobs_of_several_lengths_say_both():
    past = [PastJob(work, 20.0 + 2.0 * work) for work in (1.0, 10.0, 50.0, 100.0, 1000.0)]
    assert fit(6.0, past) == (pytest.approx(20.0, rel=0.05), pytest.approx(2.0, rel=0.05))


def test_an_outlier_carries_nothing_away():
    past = [PastJob(1000.0, 3000.0), PastJob(1000.0, 3100.0), PastJob(1000.0, 2900.0), PastJob(1000.0, 300_000.0)]
    assert fit(6.0, past).scale == pytest.approx(3.0, rel=0.05)


WORK, TAKEN = st.floats(0.0, 1e6), st.floats(0.1, 1e6)
FURTHEST = 1000.0 ** (4 / 3) * 1.001  # the search goes a factor of 1000, then a quarter as far (in logarithms), and so on


def off(found, past):
    """How far the jobs are from a fit, in logarithms."""
    return sum(abs(math.log(job.taken / (found.start + found.scale * job.work))) for job in past)


@given(st.lists(st.builds(PastJob, WORK, TAKEN), max_size=5))
def test_any_jobs_give_a_fit(past):
    found = fit(8.0, past)
    for value in (found.start / 8.0, found.scale):
        assert 1 / FURTHEST < value < FURTHEST  # which no infinite number is, nor NaN
    assert off(found, past) <= off(Fit(8.0, 1.0), past)


@given(WORK, TAKEN)
def test_one_job_is_hit_unless_it_is_a_thousand_times_off(work, taken):
    assumed = 6.0 + work
    found = fit(6.0, [PastJob(work, taken)])
    if 1 / 500 < taken / assumed < 500:
        assert found.start + found.scale * work == pytest.approx(taken, rel=0.05)
