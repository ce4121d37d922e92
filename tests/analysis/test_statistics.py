import math
import statistics as library

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckgit.analysis.statistics import Estimate, independent_difference, mean, paired_difference

NUMBERS = st.floats(-1e6, 1e6)


def test_a_mean_and_its_standard_error_by_hand() -> None:
    found = mean([1.0, 0.0, 1.0, 1.0])  # s² = (3 · 1/16 + 9/16) / 3 = 1/4, so s/√n = 1/4
    assert found == Estimate(0.75, 0.25, 4)
    assert found.interval == pytest.approx((0.75 - 0.49, 0.75 + 0.49), abs=1e-4)


def test_one_number_has_no_standard_error() -> None:
    assert mean([0.3]) == Estimate(0.3, None, 1)
    assert mean([0.3]).interval is None


@given(st.lists(NUMBERS, min_size=2, max_size=50))
def test_agrees_with_the_standard_library(values: list[float]) -> None:
    found = mean(values)
    assert found.value == pytest.approx(library.fmean(values), abs=1e-6)
    assert found.stderr == pytest.approx(library.stdev(values) / math.sqrt(len(values)), abs=1e-6, rel=1e-6)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=30))
def test_a_paired_difference_is_the_difference_of_means_whatever_the_order(pairs: list[tuple[float, float]]) -> None:
    left = {key: pair[0] for key, pair in enumerate(pairs)}
    right = {key: pairs[key][1] for key in reversed(range(len(pairs)))}
    found = paired_difference(left, right)
    assert found.value == pytest.approx(mean(list(left.values())).value - mean(list(right.values())).value, abs=1e-6)
    turned = paired_difference(right, left)
    assert (turned.value, turned.stderr) == (pytest.approx(-found.value, abs=1e-6), pytest.approx(found.stderr))


def test_pairing_uses_that_a_row_is_hard_for_both() -> None:
    left, right = {1: 1.0, 2: 0.0, 3: 1.0, 4: 0.0}, {1: 0.9, 2: 0.0, 3: 0.8, 4: 0.0}
    paired = paired_difference(left, right)
    independent = independent_difference(mean(list(left.values())), mean(list(right.values())))
    assert paired.value == pytest.approx(independent.value)
    assert paired.stderr is not None
    assert independent.stderr is not None
    assert paired.stderr < independent.stderr / 4


def test_independent_errors_add_as_squares() -> None:
    found = independent_difference(Estimate(0.9, 0.03, 100), Estimate(0.4, 0.04, 50))
    assert found == (pytest.approx(0.5), pytest.approx(0.05), 50)


def test_what_is_not_known_of_one_side_is_not_known_of_the_difference() -> None:
    assert independent_difference(Estimate(0.9, None, 9), Estimate(0.4, 0.1, 9)).stderr is None
