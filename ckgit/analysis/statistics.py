"""Means, differences and their standard errors. Pure arithmetic on numbers.

Formulas: E. Miller, "Adding Error Bars to Evals: A Statistical Approach to Language Model Evaluations" (2024),
arXiv:2411.00640, sections 2 to 4. An id that was answered several times counts once, by its mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Z95 = 1.959963984540054  # the standard normal distribution's 97.5 % quantile
LEAST_FOR_STDERR = 2


class Estimate(NamedTuple):
    """A number and what is known of its error. `stderr` is None where nothing is known."""

    value: float
    stderr: float | None
    samples: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval by the central limit theorem, or None without a standard error."""
        if self.stderr is None:
            return None
        return self.value - Z95 * self.stderr, self.value + Z95 * self.stderr


def mean(values: Sequence[float]) -> Estimate:
    """The mean and its standard error s/sqrt(n), where s is the sample standard deviation (divisor n - 1).

    Args:
        values: at least one; with only one there is no standard error.
    """
    count = len(values)
    middle = math.fsum(values) / count
    if count < LEAST_FOR_STDERR:
        return Estimate(middle, None, count)
    variance = math.fsum((value - middle) ** 2 for value in values) / (count - 1)
    return Estimate(middle, math.sqrt(variance / count), count)


def paired_difference(left: Mapping[object, float], right: Mapping[object, float]) -> Estimate:
    """Mean of left minus right over the ids, which both sides have, with the standard error of those differences.

    It is smaller than that of two independent means when a row is easy or hard for both sides.
    """
    return mean([left[key] - right[key] for key in left])


def independent_difference(left: Estimate, right: Estimate) -> Estimate:
    """Left minus right of two independent estimates: sqrt(SE_left² + SE_right²)."""
    known = left.stderr is not None and right.stderr is not None
    stderr = math.hypot(left.stderr or 0.0, right.stderr or 0.0) if known else None
    return Estimate(left.value - right.value, stderr, min(left.samples, right.samples))
