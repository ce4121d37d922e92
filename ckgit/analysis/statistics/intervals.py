"""Intervals of means and differences of scores, 95 % where nothing else is said. Pure arithmetic; each formula names its source.

They are about rows like those that were answered. A row that was answered several times counts once, by its mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from ckgit.analysis.statistics.t_distribution import t_quantile

LEVEL = 0.95
_ALIKE = 1e-12  # a smaller spread is rounding


class Interval(NamedTuple):
    """Both ends, and the method that gave them."""

    low: float
    high: float
    method: str

    def within(self, low: float, high: float) -> Interval:
        """Cut to what the number can be at all."""
        return self._replace(low=min(max(self.low, low), high), high=max(min(self.high, high), low))


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean of at least one number."""
    return math.fsum(values) / len(values)


@lru_cache
def z_quantile(level: float) -> float:
    """How many standard errors an interval of a normal number has on either side."""
    from statistics import NormalDist

    return NormalDist().inv_cdf((1 + level) / 2)


def wilson(successes: float, trials: int, level: float = LEVEL) -> Interval:
    """A share of 0/1 scores: Wilson 1927 (J. Am. Stat. Assoc. 22:209), the score interval; never beyond 0 or 1.

    Of scores between 0 and 1 it is too wide rather than too narrow: none of them spreads more than a 0/1 score of the same mean.

    Args:
        successes: sum of the scores.
        trials: rows, at least one.
    """
    share, z = successes / trials, z_quantile(level)
    square = z**2 / trials
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(share * (1 - share) / trials + square / (4 * trials))
    # rounding must not leave the share itself, or 0 or 1, outside
    return Interval(max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share)), "Wilson")


def newcombe(left: float, left_count: int, right: float, right_count: int, level: float = LEVEL) -> Interval:
    """The difference of two shares over different rows: Newcombe 1998 (Stat. Med. 17:873), method 10, from two Wilson intervals."""
    one, other = wilson(left, left_count, level), wilson(right, right_count, level)
    share, less = left / left_count, right / right_count
    below = math.hypot(share - one.low, other.high - less)
    above = math.hypot(one.high - share, less - other.low)
    return Interval(share - less - below, share - less + above, "Newcombe").within(-1.0, 1.0)


def bonett_price(differences: Sequence[float], level: float = LEVEL) -> Interval:
    """The difference of two 0/1 scores over the same rows: Bonett and Price 2012 (J. Educ. Behav. Stat. 37:479).

    Two rows are added, one in which each side alone is right. As with `wilson`, scores between 0 and 1 are no worse.
    """
    count = len(differences) + 2
    more = (math.fsum(max(each, 0.0) for each in differences) + 1) / count
    less = (math.fsum(max(-each, 0.0) for each in differences) + 1) / count
    half = z_quantile(level) * math.sqrt((more + less - (more - less) ** 2) / count)
    return Interval(more - less - half, more - less + half, "Bonett-Price").within(-1.0, 1.0)


def t_interval(values: Sequence[float], method: str = "t", level: float = LEVEL) -> Interval | None:
    """The mean of numbers: mean ± t·s/√n with n - 1 degrees of freedom (Student 1908); None where they do not spread.

    Of differences over the same rows it is the paired t interval.
    """
    if not spreads(values):
        return None
    middle, half = mean(values), t_quantile((1 + level) / 2, len(values) - 1) * error_of_mean(values)
    return Interval(middle - half, middle + half, method)


def welch(left: Sequence[float], right: Sequence[float], level: float = LEVEL) -> Interval | None:
    """The difference of two means over different rows: Welch 1947 (Biometrika 34:28); None where a side does not spread."""
    if not spreads(left) or not spreads(right):
        return None
    one, other = error_of_mean(left), error_of_mean(right)
    error = math.hypot(one, other)
    df = 1 / ((one / error) ** 4 / (len(left) - 1) + (other / error) ** 4 / (len(right) - 1))
    middle, half = mean(left) - mean(right), t_quantile((1 + level) / 2, df) * error
    return Interval(middle - half, middle + half, "Welch t")


def normal(value: float, stderr: float | None, level: float = LEVEL) -> Interval | None:
    """A number ± 1.96 standard errors, where an evaluator gives one; None where it gives none, or 0."""
    if not stderr:
        return None
    half = z_quantile(level) * stderr
    return Interval(value - half, value + half, "normal approximation")


def normal_difference(
    left: float, left_stderr: float | None, right: float, right_stderr: float | None, level: float = LEVEL
) -> Interval | None:
    """Left minus right of two numbers whose evaluator gives standard errors: ± 1.96·√(SE² + SE²); None where one is missing, or 0."""
    if not left_stderr or not right_stderr:
        return None
    return normal(left - right, math.hypot(left_stderr, right_stderr), level)


def spreads(values: Sequence[float]) -> bool:
    """Whether they differ by more than rounding. Where they do not, they are no measure of how others would."""
    low, high = min(values), max(values)
    return high - low > _ALIKE * max(abs(low), abs(high))


def error_of_mean(values: Sequence[float]) -> float:
    """s/√n; hypot squares nothing that is too large or too small for it."""
    middle = mean(values)
    return math.hypot(*(value - middle for value in values)) / math.sqrt((len(values) - 1) * len(values))
