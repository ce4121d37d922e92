"""How much a design could show, before anything is run: the smallest true difference that is found four times in five. Pure.

An interval's width is a chance of its own where few seeds are trained, so it is drawn from the variance components and the rule
of the settings' interval is applied to each draw; given the width, the chance that it excludes a margin is normal. The usual
formula, by a noncentral t distribution, promises up to 15 points of power too much at two seeds.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from ckgit.analysis.statistics.t_distribution import t_quantile

POWER = 0.8
_DRAWS = 1_000
_BINS = 40  # of widths that are nearly the same, as the power hardly bends within one
_CHANCE = 20_261_130  # the same draws for every design, so that more seeds are never worse by chance
_ENOUGH = 4  # degrees of freedom of the claim's own seeds, from which on no others are asked
_LARGEST_DF = 400


class Spread(NamedTuple):
    """What makes scores differ, as variances of one row's score; the seeds' as a standard deviation of a run's score."""

    seeds: float  # SD of a run's true score between seeds of one setting
    within: float  # a row's variance between seeds of one setting
    between: float  # variance over rows of the difference of two settings, whatever their seeds


TYPICAL = Spread(seeds=0.03, within=0.13, between=0.03)  # right or wrong near 0.6: two seeds of a setting disagree on 26 % of rows


class PlannedContrast(NamedTuple):
    """Runs that a claim holds against each other: a sum of settings, each with a weight; left's are positive."""

    rows: int
    weights: tuple[float, ...]  # of each setting that was trained
    seeds: tuple[int, ...]  # how often, in the same order
    fixed: tuple[float, ...] = ()  # weights of what has no seeds: a model as it is
    others: tuple[int, ...] = ()  # seeds of each other setting of the experiment
    level: float = 0.95
    trend: bool = False
    effect: float = 1.0  # by what factor the variance over rows is larger, as they belong together
    df_rows: int | None = None  # of that variance; None where each row stands alone

    @property
    def unpooled(self) -> bool:
        """Whether no setting of the experiment was trained twice: then seeds are in no interval."""
        return max((*self.seeds, *self.others), default=0) <= 1

    def with_seeds(self, count: int) -> PlannedContrast:
        """The same with so many seeds of every setting."""
        return self._replace(seeds=(count,) * len(self.seeds), others=(count,) * len(self.others))


class _Width(NamedTuple):
    """Half-widths of the interval, as drawn, and the standard deviation of the difference itself."""

    drawn: Sequence[float]
    noise: float


@lru_cache(maxsize=256)
def smallest_difference_of(contrast: PlannedContrast, spread: Spread, by: float = 0.0) -> float:
    """The least true difference at which the claim "greater by at least `by`" is supported with 80 % power."""
    width = _widths(contrast, spread)
    return by + _least(lambda each: _mean([_below((each - drawn) / width.noise) for drawn in width.drawn]), width)


@lru_cache(maxsize=256)
def smallest_margin(contrast: PlannedContrast, spread: Spread) -> float:
    """The least margin within which settings that are truly equal are found to be the same, with 80 % power (TOST)."""
    width = _widths(contrast._replace(level=0.9), spread)
    return _least(lambda each: _found_same(each, width), width)


@lru_cache(maxsize=256)
def power_of_same(contrast: PlannedContrast, spread: Spread, within: float) -> float:
    """How often settings that are truly equal would be found to be the same within a margin."""
    width = _widths(contrast._replace(level=0.9), spread)
    return _found_same(within, width)


def _found_same(margin: float, width: _Width) -> float:
    return _mean([max(2 * _below((margin - drawn) / width.noise) - 1, 0.0) for drawn in width.drawn])


def rows_alone(rows: int, effect: float, clusters: int) -> int:
    """As many rows that each stand alone would show as much of two models as these, which belong together in clusters."""
    wider = t_quantile(0.975, clusters - 1) / _TWO_SIDED
    return max(int(rows / (effect * wider**2)), 2)


def smallest_of_models(rows: int, spread: Spread, by: float = 0.0) -> float:
    """Of two runs, as models, each trained once: from n = 7.85 (p - δ²)/δ² with p the rows that they disagree on (Miller 2024)."""
    disagree = spread.between + 2 * spread.within
    return by + math.sqrt(_MILLER * disagree / (rows + _MILLER))


def smallest_margin_of_models(rows: int, spread: Spread) -> float:
    """The least margin within which two runs that are truly equal are found to be the same, with 80 % power (TOST)."""
    error, noise = _of_models(rows, spread)
    return _ONE_SIDED * error + _TWO_OF_TEN * noise


def power_of_same_models(rows: int, spread: Spread, within: float) -> float:
    """How often two runs that are truly equal would be found to be the same within a margin."""
    error, noise = _of_models(rows, spread)
    return max(2 * _below((within - _ONE_SIDED * error) / noise) - 1, 0.0)


def _of_models(rows: int, spread: Spread) -> tuple[float, float]:
    """Of equal runs: the standard error as Bonett and Price have it, with two rows added, and that of the difference itself."""
    disagree = spread.between + 2 * spread.within
    return math.sqrt(rows * disagree + 2) / (rows + 2), math.sqrt(disagree / rows)


_TWO_SIDED = 1.959964
_MILLER = (_TWO_SIDED + 0.841621) ** 2
_ONE_SIDED, _TWO_OF_TEN = 1.644854, 1.281552  # standard errors beyond which 5 %, and on both sides 20 %, of differences lie


def _least(power: Callable[[float], float], width: _Width) -> float:
    low, high = 0.0, max(width.drawn) + 4 * width.noise
    for _ in range(14):  # to 1/16,000 of where it begins
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle) < POWER else (low, middle)
    return high


def _below(value: float) -> float:
    return 0.5 * math.erfc(-value / math.sqrt(2))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


@lru_cache(maxsize=64)
def _widths(contrast: PlannedContrast, spread: Spread) -> _Width:
    """Draws of the half-width t²(rows)·max(V_r - V_i, 0) + t²(seeds)·V_s, as the interval of settings has it."""
    chance = random.Random(_CHANCE)  # noqa: S311 - a simulation
    rows, run = contrast.rows, spread.seeds**2 + spread.within / contrast.rows
    own = spread.between / 2 * _squares([*contrast.weights, *contrast.fixed]) + spread.within * _squares(contrast.fixed)
    shares = [weight**2 / count for weight, count in zip(contrast.weights, contrast.seeds, strict=True)]
    inside = spread.within * sum(shares)
    df, whole = contrast.df_rows or rows - 1, (own + inside) * contrast.effect
    t_rows = t_quantile((1 + contrast.level) / 2, df) ** 2
    seeds = _by_trend if contrast.trend else _pooled
    drawn = [
        math.sqrt(t_rows * max(whole * _scaled(chance, df) - inside, 0.0) / rows + part * run) for part in seeds(contrast, shares, chance)
    ]
    drawn.sort()
    size = _DRAWS // _BINS
    return _Width([_mean(drawn[at : at + size]) for at in range(0, _DRAWS, size)], math.sqrt((whole - inside) / rows + run * sum(shares)))


def _pooled(contrast: PlannedContrast, shares: Sequence[float], chance: random.Random) -> Sequence[float]:
    """Draws of t²·V_s where the variance of a run's score is 1: of the claim's own seeds where they are enough, else of all settings."""
    own = [count - 1 for count in contrast.seeds]
    if not own:
        return [0.0] * _DRAWS
    if len({*own}) == 1 and sum(own) >= _ENOUGH:
        t = _t_squared(contrast.level, sum(own))
        return [t * sum(shares) * _scaled(chance, sum(own)) for _ in range(_DRAWS)]
    others = sum(count - 1 for count in contrast.others if count > 1)
    df = sum(own) + others
    t, found = _t_squared(contrast.level, df), []
    for _ in range(_DRAWS):
        each = [_scaled(chance, one) for one in own]
        pooled = (sum(one * value for one, value in zip(own, each, strict=True)) + others * _scaled(chance, others)) / df
        found.append(t * sum(share * max(value, pooled) for share, value in zip(shares, each, strict=True)))
    return found


def _by_trend(contrast: PlannedContrast, shares: Sequence[float], chance: random.Random) -> Sequence[float]:
    """Draws of t²·V_s, with Welch's and Satterthwaite's degrees of freedom of each draw."""
    own, found = [count - 1 for count in contrast.seeds], []
    for _ in range(_DRAWS):
        parts = [share * _scaled(chance, one) for share, one in zip(shares, own, strict=True)]
        total = sum(parts)
        df = total**2 / sum(part**2 / one for part, one in zip(parts, own, strict=True) if one)
        found.append(_t_squared(contrast.level, df) * total)
    return found


def _t_squared(level: float, df: float) -> float:
    """Between whole degrees of freedom, in their inverse, which is nearly straight."""
    below = min(int(df), _LARGEST_DF)
    low, high = (t_quantile((1 + level) / 2, each) ** 2 for each in (below, below + 1))
    share = min(max((1 / below - 1 / df) / (1 / below - 1 / (below + 1)), 0.0), 1.0)
    return low + share * (high - low)


def _scaled(chance: random.Random, df: int) -> float:
    """A chi-squared number over its degrees of freedom; 0 where there are none."""
    return chance.gammavariate(df / 2, 2 / df) if df else 0.0


def _squares(values: Sequence[float]) -> float:
    return sum(value**2 for value in values)
