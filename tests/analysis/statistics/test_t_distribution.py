"""Student's t against published tables, closed forms, and an integral of its density."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckgit.analysis.statistics.t_distribution import t_cdf, t_quantile


@pytest.mark.parametrize(
    ("df", "expected"),
    # NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2, column 0.975
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (10, 2.228), (29, 2.045), (30, 2.042), (100, 1.984)],
)
def test_the_quantiles_of_published_tables(df: int, expected: float) -> None:
    assert t_quantile(0.975, df) == pytest.approx(expected, abs=5e-4)


def test_closed_forms_to_full_precision() -> None:
    assert t_quantile(0.975, 1) == pytest.approx(math.tan(math.pi * 0.475), rel=1e-12)  # Cauchy
    assert t_quantile(0.975, 2) == pytest.approx(0.95 * math.sqrt(2 / (1 - 0.95**2)), rel=1e-12)
    assert t_quantile(0.975, 1e7) == pytest.approx(1.959963984540054, rel=1e-6)  # the normal distribution


@pytest.mark.parametrize("df", [1.3, 2.5, 17.776, 350.0])
def test_the_distribution_is_the_integral_of_its_density(df: float) -> None:
    factor = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(df * math.pi)
    steps, end = 4000, 2.2
    width = end / steps
    density = [factor * (1 + (place * width) ** 2 / df) ** (-(df + 1) / 2) for place in range(steps + 1)]
    simpson = (density[0] + density[-1] + 4 * math.fsum(density[1:-1:2]) + 2 * math.fsum(density[2:-1:2])) * width / 3
    assert t_cdf(end, df) == pytest.approx(0.5 + simpson, abs=1e-12)


@settings(deadline=None)  # a machine may be busy
@given(st.floats(1, 5000), st.floats(0.6, 0.999))
def test_a_quantile_is_where_the_distribution_has_its_probability(df: float, probability: float) -> None:
    assert t_cdf(t_quantile(probability, df), df) == pytest.approx(probability, abs=1e-12)
