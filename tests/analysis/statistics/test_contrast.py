"""Intervals over rows and seeds: against other computations, and against experiments that are simulated from a known truth."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pytest
import statsmodels.api as sm

from ckgit.analysis.statistics.contrast import ScoredSetting, Term, margins, seeds_alone
from ckgit.analysis.statistics.linearised import clustered_variance
from tests.analysis.statistics.simulated import Truth, settings, true_share

LONG = bool(os.environ.get("CKGIT_LONG_TESTS"))
LOGIT = 0.6


@pytest.mark.parametrize("size", [2, 5, 10])
def test_clusters_of_one_size_are_as_statsmodels_has_them(size: int) -> None:
    random = np.random.default_rng(size)
    clusters = np.repeat(np.arange(60 // size), size)
    values = random.normal(size=60) + random.normal(size=60 // size)[clusters]
    fitted = sm.OLS(values, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    variance, df = clustered_variance(values.tolist(), clusters.tolist())
    assert variance == pytest.approx(fitted.bse[0] ** 2)
    assert df == pytest.approx(60 // size - 1)


def test_clusters_of_different_sizes_are_as_the_matrices_have_them() -> None:
    random = np.random.default_rng(3)
    clusters = random.integers(0, 7, 50)
    values = random.normal(size=50) + random.normal(size=7)[clusters]
    design = np.ones((50, 1))
    bread = np.linalg.inv(design.T @ design)
    hat = design @ bread @ design.T
    meat, rotated = 0.0, []
    for cluster in np.unique(clusters):
        inside = clusters == cluster
        own = np.eye(inside.sum()) - hat[np.ix_(inside, inside)]
        vectors_of = np.linalg.eigh(own)
        root = vectors_of.eigenvectors @ np.diag(vectors_of.eigenvalues**-0.5) @ vectors_of.eigenvectors.T
        meat += (design[inside].T @ root @ (values - values.mean())[inside]).item() ** 2
        rotated.append((np.eye(50) - hat)[:, inside] @ root @ design[inside] @ bread)
    gram = np.hstack(rotated).T @ np.hstack(rotated)
    variance, df = clustered_variance(values.tolist(), clusters.tolist())
    assert variance == pytest.approx(meat / 50**2)
    assert df == pytest.approx(np.trace(gram) ** 2 / np.trace(gram @ gram))


@pytest.mark.parametrize(("persons", "share"), [(3, 0.7), (6, 0.8), (12, 0.9)])
def test_rows_that_are_all_alike_say_no_more_than_the_persons_who_answered_them(persons: int, share: float) -> None:
    """Of most persons all rows are right, of the others none: with six it happens that all are of the one kind."""
    random, size, held = np.random.default_rng(persons), 10, []
    clusters = np.repeat(np.arange(persons), size).tolist()
    wrong = ScoredSetting(((0.0,) * persons * size,), trained=False)
    for _ in range(400):
        of_person = (random.random(persons) < share).astype(float)
        right = ScoredSetting((tuple(np.repeat(of_person, size).tolist()),), trained=False)
        found = margins([Term(1.0, right), Term(-1.0, wrong)], [right, wrong], unit=True, clusters=clusters)
        held.append((found.low or -1.0) <= share <= (found.high or 1.0))
    assert np.mean(held) > 0.93


def test_one_person_says_nothing_of_others_however_alike_the_rows_are() -> None:
    right, wrong = (ScoredSetting(((score,) * 60,), trained=False) for score in (1.0, 0.0))
    found = margins([Term(1.0, right), Term(-1.0, wrong)], [right, wrong], unit=True, clusters=["one"] * 60)
    assert (found.low, found.high) == (None, None)
    two = margins([Term(1.0, right), Term(-1.0, wrong)], [right, wrong], unit=True, clusters=["one"] * 30 + ["two"] * 30)
    assert (two.low or 0.0) < 0
    alone = margins([Term(1.0, right), Term(-1.0, wrong)], [right, wrong], unit=True, clusters=list(range(60)))
    assert (alone.low, alone.high) == pytest.approx(margins([Term(1.0, right), Term(-1.0, wrong)], [right, wrong], unit=True)[1:3])


def simulated(truth: Truth, left: int, right: int, experiments: int, seed: int = 7) -> np.ndarray:
    """Ends of the interval of left minus right, one row for each experiment."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(experiments):
        made = settings(truth, random)
        contrast = margins([Term(1.0, made[left]), Term(-1.0, made[right])], made, unit=True)
        found.append((contrast.low, contrast.high))
    return np.array(found, float)


def test_of_400_experiments_without_an_effect_at_most_5_percent_support_one() -> None:
    ends = simulated(Truth((LOGIT, LOGIT), 0.05, 100, (3, 3)), 0, 1, 400)
    assert (ends[:, 0] > 0).mean() <= 0.05
    assert ((ends[:, 0] <= 0) & (ends[:, 1] >= 0)).mean() == pytest.approx(0.955, abs=0.02)


def test_rows_alone_would_support_far_more() -> None:
    """The rule that this one replaces: one run a side, read as its setting."""
    random = np.random.default_rng(7)
    supported = 0
    for _ in range(400):
        one, other = ([setting.runs[0]] for setting in settings(Truth((LOGIT, LOGIT), 0.05, 100, (1, 1)), random))
        found = margins([Term(1.0, ScoredSetting(tuple(one))), Term(-1.0, ScoredSetting(tuple(other)))], [], unit=True)
        assert found.low is not None
        supported += found.low > 0
    assert supported / 400 > 0.06


def test_a_large_effect_is_found() -> None:
    ends = simulated(Truth((2.2, LOGIT), 0.02, 300, (3, 3)), 0, 1, 100)
    assert (ends[:, 0] > 0).mean() >= 0.95


SIZES = [
    *(pytest.param(n, (3, 3), 2, 0, sd, (0.935, 0.975), id=f"rule1-n{n}-sd{sd}") for n in (30, 100, 300) for sd in (0.01, 0.03, 0.08)),
    *(pytest.param(rows, (5, 5), 2, 0, 0.03, (0.935, 0.97), id=f"rule1-five-n{rows}") for rows in (30, 100, 1000)),
    *(pytest.param(100, (2,) * k, k, 0, sd, (0.935, 0.985), id=f"rule2-k{k}-sd{sd}") for k in (2, 4, 8) for sd in (0.03, 0.08)),
    *(pytest.param(100, (s,) * 3, 3, 1, 0.03, (0.935, 0.985), id=f"control-s{s}") for s in (2, 3, 5)),
]


@pytest.mark.skipif(not LONG, reason="ten minutes: CKGIT_LONG_TESTS=1 runs it")
@pytest.mark.parametrize(("rows", "seeds", "count", "untrained", "sd", "band"), SIZES)
def test_intervals_hold_what_they_say(
    rows: int, seeds: Sequence[int], count: int, untrained: int, sd: float, band: tuple[float, float]
) -> None:
    truth = Truth((LOGIT,) * count, sd, rows, seeds, untrained)
    left, right = count - 1, 0
    truly = true_share(LOGIT, sd) - true_share(LOGIT, sd, trained=untrained == 0)
    ends = simulated(truth, left, right, 2000)
    covered = ((ends[:, 0] <= truly) & (truly <= ends[:, 1])).mean()
    assert band[0] <= covered <= band[1], covered


def test_the_spread_between_seeds_alone_is_that_of_a_t_test() -> None:
    from scipy import stats

    left, right = (0.61, 0.66, 0.70), (0.50, 0.58, 0.49)
    sides = [ScoredSetting(tuple((score,) for score in side)) for side in (left, right)]
    found = seeds_alone([Term(1.0, sides[0]), Term(-1.0, sides[1])], sides)
    expected = stats.ttest_ind(left, right).confidence_interval()
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_nothing_is_said_of_seeds_where_none_was_trained_twice() -> None:
    side = ScoredSetting(((0.5,),))
    assert seeds_alone([Term(1.0, side), Term(-1.0, side)], [side, side]) is None
