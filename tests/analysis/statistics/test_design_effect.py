"""How much less rows tell that belong together, and that a plan which knows it promises no more than is found."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ckgit.analysis.statistics import power
from ckgit.analysis.statistics.contrast import ScoredSetting, Term, margins, sum_of_squares
from ckgit.analysis.statistics.design_effect import design_effect
from ckgit.analysis.statistics.linearised import clustered_variance
from ckgit.analysis.statistics.power import PlannedContrast, Spread

CLUSTERS, SIZE = 60, 10
TOGETHER = [number // SIZE for number in range(CLUSTERS * SIZE)]


def drawn(random: np.random.Generator, icc: float) -> list[float]:
    own, shared = random.normal(0, math.sqrt(1 - icc), len(TOGETHER)), random.normal(0, math.sqrt(icc), CLUSTERS)
    return [float(each + shared[cluster]) for each, cluster in zip(own, TOGETHER, strict=True)]


@pytest.mark.parametrize("icc", [0.0, 0.3, 1.0])
def test_the_effect_is_that_of_the_intraclass_correlation(icc: float) -> None:
    random = np.random.default_rng(5)
    found = [design_effect([drawn(random, icc), drawn(random, icc)], TOGETHER) for _ in range(40)]
    effects = [each.effect for each in found if each]
    assert np.mean(effects) == pytest.approx(1 + (SIZE - 1) * icc, rel=0.06)
    assert np.mean([each.icc for each in found if each]) == pytest.approx(icc, abs=0.02)
    assert {(each.clusters, each.rows) for each in found if each} == {(CLUSTERS, CLUSTERS * SIZE)}


def test_it_is_that_of_the_differences_of_all_pairs() -> None:
    random = np.random.default_rng(6)
    settings = [drawn(random, 0.5) for _ in range(4)]
    apart = [[a - b for a, b in zip(one, other, strict=True)] for one, other in itertools.combinations(settings, 2)]
    alone = sum(sum_of_squares(each) for each in apart) / (len(TOGETHER) - 1) / len(TOGETHER)
    found = design_effect(settings, TOGETHER)
    assert found
    assert found.effect == pytest.approx(sum(clustered_variance(each, TOGETHER)[0] for each in apart) / alone)


def test_what_all_settings_share_falls_away_and_of_one_setting_nothing_is_told() -> None:
    random = np.random.default_rng(7)
    shared = drawn(random, 1.0)
    two = [[a + b for a, b in zip(shared, drawn(random, 0.0), strict=True)] for _ in range(2)]
    both = design_effect(two, TOGETHER)
    assert both
    assert both.effect == pytest.approx(1.0, abs=0.4)
    assert design_effect(two[:1], TOGETHER) is None


def test_of_rows_that_each_stand_alone_or_do_not_differ_there_is_none() -> None:
    found = design_effect([[0.0, 1.0, 1.0, 0.0], [0.0] * 4], [1, 2, 3, 4])
    assert found
    assert (found.effect, found.icc) == (pytest.approx(1.0), None)
    assert design_effect([[1.0, 1.0], [0.0, 0.0]], [1, 2]) is None
    assert design_effect([[0.0, 1.0], [0.0, 0.0]], [1, 1]) is None


ROWS, SEEDS, BETWEEN, WITHIN, ALIKE = 300, 5, 0.2, 0.05, 0.6
GROUPS = [number // SIZE for number in range(ROWS)]


def experiment(random: np.random.Generator, difference: float) -> list[ScoredSetting]:
    """Two settings, whose difference has a part that rows of a cluster share."""
    made = []
    for shift in (0.0, difference):
        shared = random.normal(0, math.sqrt(ALIKE * BETWEEN / 2), ROWS // SIZE)[GROUPS]
        rows = shift + shared + random.normal(0, math.sqrt((1 - ALIKE) * BETWEEN / 2), ROWS)
        runs = [rows + random.normal(0, 0.01) + random.normal(0, math.sqrt(WITHIN), ROWS) for _ in range(SEEDS)]
        made.append(ScoredSetting(tuple(tuple(map(float, run)) for run in runs)))
    return made


def test_the_difference_that_is_announced_is_found_four_times_in_five() -> None:
    whole = BETWEEN + 2 * WITHIN / SEEDS
    contrast = PlannedContrast(ROWS, (1.0, -1.0), (SEEDS, SEEDS), effect=1 + (SIZE - 1) * ALIKE * BETWEEN / whole, df_rows=ROWS // SIZE - 1)
    smallest = power.smallest_difference_of(contrast, Spread(0.01, WITHIN, BETWEEN))
    assert smallest > 1.7 * power.smallest_difference_of(contrast._replace(effect=1.0, df_rows=None), Spread(0.01, WITHIN, BETWEEN))
    random, repeats, found = np.random.default_rng(11), 300, 0
    for _ in range(repeats):
        made = experiment(random, smallest)
        low = margins([Term(1.0, made[1]), Term(-1.0, made[0])], made, clusters=GROUPS).low
        found += low is not None and low > 0
    assert abs(found / repeats - power.POWER) < 0.03 + 2 * math.sqrt(0.16 / repeats)


def test_of_two_models_fewer_rows_that_stand_alone_show_as_much() -> None:
    assert power.rows_alone(1000, 1.0, 100_000) == pytest.approx(1000, abs=1)
    assert power.rows_alone(1000, 4.0, 100_000) == pytest.approx(250, abs=1)
    assert power.rows_alone(1000, 4.0, 21) == pytest.approx(250 / (2.086 / 1.96) ** 2, abs=1)
    assert power.rows_alone(3, 40.0, 20) == 2
