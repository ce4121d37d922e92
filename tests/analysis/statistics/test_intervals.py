"""Intervals against published numbers, and what they must be whatever the scores."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckgit.analysis.statistics.intervals import Interval, bonett_price, mean, newcombe, normal, normal_difference, t_interval, welch, wilson

NUMBERS = st.floats(-1e6, 1e6)
BITS = st.sampled_from([0.0, 1.0])
# Additional hours of sleep with two drugs: Student 1908 (Biometrika 6:1), R's data set `sleep`.
DRUG_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
DRUG_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def ends(found: Interval | None) -> tuple[float, float]:
    assert found
    return found.low, found.high


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Newcombe 1998, Stat. Med. 17:857, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_published(successes: int, trials: int, low: float, high: float) -> None:
    assert ends(wilson(successes, trials)) == pytest.approx((low, high), abs=5e-5)


def test_wilson_without_variance() -> None:
    low, high = ends(wilson(30, 30))
    assert (round(low, 3), high) == (0.886, 1.0)
    assert ends(wilson(1, 1)) == pytest.approx((1 / (1 + 1.959963984540054**2), 1.0))  # at 1 the lower end is n/(n+z²)
    assert ends(wilson(0, 1))[0] == 0.0


@pytest.mark.parametrize(
    ("left", "right", "low", "high"),
    # Newcombe 1998, Stat. Med. 17:873, table II, method 10
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_newcombe_as_published(left: tuple[int, int], right: tuple[int, int], low: float, high: float) -> None:
    assert ends(newcombe(*left, *right)) == pytest.approx((low, high), abs=5e-5)


def test_bonett_and_price_by_hand() -> None:
    # n 21, b 1, c 7: p = 2/23, q = 8/23; p - q = -6/23; (10/23 - 36/529)/23 = 194/12167; -0.260870 ± 1.96·0.126272
    assert ends(bonett_price([1.0] + [-1.0] * 7 + [0.0] * 13)) == pytest.approx((-0.508359, -0.013380), abs=1e-6)
    low, high = ends(bonett_price([0.0] * 30))
    assert (round(low, 3), round(high, 3)) == (-0.087, 0.087)


def test_t_intervals_as_r_prints_them() -> None:
    # t.test(extra ~ group, data = sleep, paired = TRUE), t.test(extra ~ group, data = sleep), and of the first group alone
    differences = [one - other for one, other in zip(DRUG_1, DRUG_2, strict=True)]
    assert ends(t_interval(differences)) == pytest.approx((-2.4598858, -0.7001142), abs=1e-7)
    assert ends(welch(DRUG_1, DRUG_2)) == pytest.approx((-3.3654832, 0.2054832), abs=1e-7)
    assert ends(t_interval(DRUG_1)) == pytest.approx((-0.5297804, 2.0297804), abs=1e-7)


@pytest.mark.parametrize("alike", [[0.5], [0.5] * 9, [0.1 + 0.2, 0.3]])
def test_numbers_that_do_not_spread_have_no_t_interval(alike: Sequence[float]) -> None:
    assert t_interval(alike) is None
    assert welch(alike, DRUG_1) is None
    assert welch(DRUG_1, alike) is None


def test_numbers_of_any_size_have_their_interval() -> None:
    for size in (1e-200, 1e200):
        assert ends(t_interval([size * each for each in DRUG_1])) == pytest.approx((-0.5297804 * size, 2.0297804 * size), rel=1e-6)
        low, high = ends(welch([size * each for each in DRUG_1], [size * each for each in DRUG_2]))
        assert (low / size, high / size) == pytest.approx((-3.3654832, 0.2054832), abs=1e-7)


def test_a_standard_error_of_0_makes_no_interval() -> None:
    assert normal(0.5, 0.0) is normal(0.5, None) is normal_difference(0.5, 0.0, 0.4, 0.1) is normal_difference(0.5, 0.1, 0.4, None) is None
    assert ends(normal(0.5, 0.1)) == pytest.approx((0.3040036, 0.6959964))
    assert ends(normal_difference(0.9, 0.03, 0.4, 0.04)) == pytest.approx((0.4020018, 0.5979982))


@settings(deadline=None)  # a machine may be busy
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_wilson_has_the_share_and_stays_in_the_scale(scores: list[float]) -> None:
    low, high = ends(wilson(math.fsum(scores), len(scores)))
    assert 0 <= low <= mean(scores) <= high <= 1
    assert low < high


@settings(deadline=None)  # a machine may be busy
@given(st.lists(st.tuples(BITS, BITS), min_size=1, max_size=60))
def test_a_difference_of_shares_is_in_its_interval_which_stays_in_the_scale(pairs: list[tuple[float, float]]) -> None:
    left, right = [one for one, _ in pairs], [other for _, other in pairs]
    apart = mean(left) - mean(right)
    for found in (
        bonett_price([one - other for one, other in pairs]),
        newcombe(math.fsum(left), len(left), math.fsum(right), len(right)),
    ):
        assert -1 <= found.low <= apart + 1e-12
        assert apart - 1e-12 <= found.high <= 1
        assert found.low < found.high


@settings(deadline=None)  # a machine may be busy
@given(st.lists(NUMBERS, min_size=2, max_size=30), st.lists(NUMBERS, min_size=2, max_size=30))
def test_a_t_interval_has_its_mean_in_the_middle(left: list[float], right: list[float]) -> None:
    for found, middle in ((t_interval(left), mean(left)), (welch(left, right), mean(left) - mean(right))):
        if found:
            assert found.low < found.high
            assert (found.low + found.high) / 2 == pytest.approx(middle, abs=1e-5, rel=1e-9)


@pytest.mark.parametrize(("count", "share"), [(30, 0.6), (30, 0.9), (30, 0.97), (100, 0.9), (300, 0.97)])
def test_wilson_covers(count: int, share: float) -> None:
    """The probability that the interval has the true share in it, summed over all outcomes."""
    covered = [
        math.comb(count, right) * share**right * (1 - share) ** (count - right)
        for right in range(count + 1)
        if wilson(right, count).low <= share <= wilson(right, count).high
    ]
    assert 0.93 <= math.fsum(covered) <= 0.98


@pytest.mark.parametrize(("more", "less"), [(0.1, 0.1), (0.26, 0.13), (0.4, 0.05), (0.03, 0.03)])
def test_bonett_and_price_cover(more: float, less: float) -> None:
    count, covered = 30, []
    for b in range(count + 1):
        for c in range(count + 1 - b):
            found = bonett_price([1.0] * b + [-1.0] * c + [0.0] * (count - b - c))
            if found.low <= more - less <= found.high:
                ways = math.comb(count, b) * math.comb(count - b, c)
                covered.append(ways * more**b * less**c * (1 - more - less) ** (count - b - c))
    assert 0.95 <= math.fsum(covered) <= 0.999
