"""P-values and their corrections are those of scipy and statsmodels."""

from __future__ import annotations

import random

import pytest

from ckgit.analysis.comparing.p_values import by_inversion, holm, mcnemar_mid_p, paired_t
from ckgit.analysis.statistics.intervals import t_interval

stats = pytest.importorskip("scipy.stats")
multitest = pytest.importorskip("statsmodels.stats.multitest")
tables = pytest.importorskip("statsmodels.stats.contingency_tables")


@pytest.mark.parametrize(("more", "less"), [(0, 6), (1, 9), (12, 3), (40, 61), (700, 640), (1, 0)])
def test_mid_p_is_the_exact_test_less_the_observed_tables_probability(more: int, less: int) -> None:
    exact = tables.mcnemar([[0, more], [less, 0]], exact=True).pvalue
    expected = exact - stats.binom.pmf(more, more + less, 0.5)
    assert mcnemar_mid_p(more, less) == pytest.approx(expected, rel=1e-9)


def test_mid_p_of_a_tie_is_less_than_one_and_of_no_difference_one() -> None:
    assert mcnemar_mid_p(5, 5) == pytest.approx(1 - stats.binom.pmf(5, 10, 0.5) / 2)
    assert mcnemar_mid_p(0, 0) == 1.0


def test_paired_t_is_scipys() -> None:
    chance = random.Random(1)  # noqa: S311 - test data
    differences = [chance.gauss(0.1, 0.3) for _ in range(40)]
    assert paired_t(differences) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, rel=1e-9)
    assert paired_t([0.5] * 9) is None


@pytest.mark.parametrize("values", [[0.01], [0.04, 0.001, 0.03, 0.5], [0.2, 0.2, 0.01, 0.011, 0.9], []])
def test_holm_is_statsmodels(values: list[float]) -> None:
    expected = list(multitest.multipletests(values, method="holm")[1]) if values else []
    assert holm(values) == pytest.approx(expected)


def test_inverting_the_t_interval_gives_the_t_test() -> None:
    chance = random.Random(2)  # noqa: S311 - test data
    values = [chance.gauss(0.1, 0.4) for _ in range(30)]

    def excludes(level: float) -> bool:
        found = t_interval(values, level=level)
        assert found
        return not found.low <= 0 <= found.high

    assert by_inversion(excludes) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=2e-6)
