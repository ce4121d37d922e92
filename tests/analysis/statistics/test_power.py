"""The announced power is met: experiments are simulated row by row and seed by seed, and judged by the rule that the report uses."""

from __future__ import annotations

import math
import os
from typing import NamedTuple

import numpy as np
import pytest

from ckgit.analysis.statistics import power
from ckgit.analysis.statistics.contrast import Term, margins
from ckgit.analysis.statistics.intervals import bonett_price
from ckgit.analysis.statistics.power import TYPICAL, PlannedContrast, Spread
from tests.analysis.statistics.simulated import Truth, settings, true_share

LONG = bool(os.environ.get("CKGIT_LONG_TESTS"))
MIDDLE = 0.6


class Design(NamedTuple):
    rows: int
    seeds: int
    count: int  # of settings, those compared first
    seed_sd: float
    control: bool = False  # whether right was not trained


DESIGNS = [
    Design(300, 3, 2, 0.03),
    Design(100, 2, 4, 0.03),
    Design(300, 2, 2, 0.03),
    Design(1000, 3, 2, 0.01),
    Design(300, 5, 2, 0.08),
    Design(30, 5, 2, 0.03),
    Design(300, 2, 8, 0.08),
    Design(300, 5, 3, 0.03, control=True),
    Design(300, 3, 4, 0.01, control=True),
    Design(1000, 10, 2, 0.03),
]


def logit_of(share: float, seed_sd: float, *, trained: bool) -> float:
    low, high = -8.0, 8.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if true_share(middle, seed_sd, trained=trained) < share else (low, middle)
    return low


def truth(design: Design, difference: float) -> Truth:
    """Right is setting 0, and left the next one; the others lie between them."""
    shares = [MIDDLE - difference / 2, MIDDLE + difference / 2, *([MIDDLE] * (design.count - 2))]
    trained = [not design.control, *([True] * (design.count - 1))]
    logits = [logit_of(share, design.seed_sd, trained=own) for share, own in zip(shares, trained, strict=True)]
    return Truth(logits, design.seed_sd, design.rows, [design.seeds] * design.count, untrained=int(design.control))


def spread_of(design: Design, difference: float, random: np.random.Generator) -> Spread:
    """The variance components of such settings, from many rows and seeds; a control's one answer has its noise in `between`."""
    known = truth(design, difference)._replace(rows=4_000, seeds=[40] * design.count, untrained=0)
    scores = [np.array(each.runs) for each in settings(known, random)[:2]]
    within = float(np.mean([_noise(each) for each in scores]))
    apart = float(np.var(scores[1].mean(0) - scores[0].mean(0), ddof=1)) - 2 * within / 40
    return Spread(design.seed_sd, within, apart)


def _noise(scores: np.ndarray) -> float:
    left = scores - scores.mean(0) - scores.mean(1, keepdims=True) + scores.mean()
    return float((left**2).sum() / ((scores.shape[0] - 1) * (scores.shape[1] - 1)))


def contrast_of(design: Design) -> PlannedContrast:
    others = (design.seeds,) * (design.count - 2)
    if design.control:
        return PlannedContrast(design.rows, (1.0,), (design.seeds,), (-1.0,), others)
    return PlannedContrast(design.rows, (1.0, -1.0), (design.seeds,) * 2, (), others)


def found(design: Design, difference: float, repeats: int, random: np.random.Generator) -> float:
    """How often the interval of left minus right excludes 0."""
    known, supported = truth(design, difference), 0
    for _ in range(repeats):
        made = settings(known, random)
        low = margins([Term(1.0, made[1]), Term(-1.0, made[0])], made, unit=True).low
        supported += low is not None and low > 0
    return supported / repeats


def announced(design: Design, random: np.random.Generator) -> float:
    contrast, smallest = contrast_of(design), 0.1
    for _ in range(2):  # how much rows vary depends a little on the difference itself
        smallest = power.smallest_difference_of(contrast, spread_of(design, min(smallest, 0.6), random))
    return smallest


@pytest.mark.parametrize("design", DESIGNS if LONG else DESIGNS[:2], ids=str)
def test_the_announced_difference_is_found_four_times_in_five(design):
    random = np.random.default_rng(20261130)
    repeats = 4_000 if LONG else 500
    share = found(design, announced(design, random), repeats, random)
    assert abs(share - power.POWER) < 0.03 + 2 * math.sqrt(0.16 / repeats)


def pair(rows: int, seeds: int, others: int = 0) -> PlannedContrast:
    return PlannedContrast(rows, (1.0, -1.0), (seeds, seeds), (), (seeds,) * others)


def test_more_seeds_and_more_rows_show_smaller_differences():
    by_seeds = [power.smallest_difference_of(pair(300, seeds), TYPICAL) for seeds in (2, 3, 4, 5, 10)]
    by_rows = [power.smallest_difference_of(pair(rows, 3), TYPICAL) for rows in (30, 100, 300, 1000)]
    assert by_seeds == sorted(by_seeds, reverse=True)
    assert by_rows == sorted(by_rows, reverse=True)
    assert by_seeds[0] > 2 * by_seeds[1]  # two seeds and two settings tell next to nothing of their spread
    assert power.smallest_difference_of(pair(300, 2, others=6), TYPICAL) < 0.7 * by_seeds[0]


def test_what_is_claimed_is_added():
    contrast = pair(300, 3)
    assert power.smallest_difference_of(contrast, TYPICAL, 0.05) == pytest.approx(0.05 + power.smallest_difference_of(contrast, TYPICAL))


def test_the_same_within_a_margin_is_found_as_often_as_announced():
    contrast = pair(300, 5)
    margin = power.smallest_margin(contrast, TYPICAL)
    assert power.power_of_same(contrast, TYPICAL, margin) == pytest.approx(power.POWER, abs=0.01)
    assert power.power_of_same(contrast, TYPICAL, 0.02) < 0.1
    random = np.random.default_rng(7)
    design = Design(300, 5, 2, TYPICAL.seeds)
    margin, repeats = power.smallest_margin(contrast, spread_of(design, 0.0, random)), 4_000 if LONG else 400
    known, same = truth(design, 0.0), 0
    for _ in range(repeats):
        made = settings(known, random)
        interval = margins([Term(1.0, made[1]), Term(-1.0, made[0])], made, unit=True, level=0.9)
        same += -margin < (interval.low or -1) and (interval.high or 1) < margin
    assert abs(same / repeats - power.POWER) < 0.03 + 2 * math.sqrt(0.16 / repeats)


@pytest.mark.parametrize("rows", [30, 300])
def test_two_equal_runs_are_found_the_same_within_a_margin_as_often_as_announced(rows):
    random, repeats = np.random.default_rng(11), 4_000
    margin = power.smallest_margin_of_models(rows, TYPICAL)
    disagree = TYPICAL.between + 2 * TYPICAL.within
    same = 0
    for _ in range(repeats):
        differences = random.choice([1.0, -1.0, 0.0], size=rows, p=[disagree / 2, disagree / 2, 1 - disagree])
        low, high, _ = bonett_price(differences.tolist(), 0.9)  # as two runs are judged
        same += -margin < low and high < margin
    assert abs(same / repeats - power.POWER) < 0.03 + 2 * math.sqrt(0.16 / repeats)
    assert power.power_of_same_models(rows, TYPICAL, margin) == pytest.approx(power.POWER, abs=0.001)
    assert power.power_of_same_models(rows, TYPICAL, 0.01) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("seeds", [3, 5])
def test_a_slope_is_found_as_often_as_announced(seeds):
    if not LONG and seeds != 3:
        pytest.skip("CKGIT_LONG_TESTS")
    random, design, along = np.random.default_rng(3), Design(300, seeds, 4, 0.03), [1.0, 2.0, 3.0, 4.0]
    weights = tuple((x - 2.5) / 5 for x in along)
    contrast = PlannedContrast(design.rows, weights, (seeds,) * 4, trend=True)
    slope = power.smallest_difference_of(contrast, spread_of(design, 0.1, random))
    logits = [logit_of(MIDDLE + slope * (x - 2.5), design.seed_sd, trained=True) for x in along]
    known = Truth(logits, design.seed_sd, design.rows, [seeds] * 4)
    repeats, supported = 4_000 if LONG else 300, 0
    for _ in range(repeats):
        made = settings(known, random)
        low = margins([Term(w, each) for w, each in zip(weights, made, strict=True)], made, unit=True, own_spreads=True).low
        supported += low is not None and low > 0
    assert abs(supported / repeats - power.POWER) < 0.03 + 2 * math.sqrt(0.16 / repeats)


def test_of_two_models_the_formula_is_that_of_miller():
    disagree = TYPICAL.between + 2 * TYPICAL.within
    smallest = power.smallest_of_models(1000, TYPICAL)
    assert 7.85 * (disagree - smallest**2) / smallest**2 == pytest.approx(1000, rel=0.001)
