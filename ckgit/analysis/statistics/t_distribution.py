"""Student's t distribution, to full double precision, without a library of statistics: `ckgit show` has 0.2 s."""

from __future__ import annotations

import math
from functools import lru_cache

_TINY = 1e-300  # keeps Lentz's fractions away from 0
_ENOUGH = 1e-16
_MOST_TERMS = 100_000


@lru_cache(maxsize=1024)
def t_quantile(probability: float, df: float) -> float:
    """The number that a t-distributed one with `df` degrees of freedom stays below with that probability (above 0.5).

    Bisection on the distribution function, which rises.
    """
    low, high = 0.0, 1.0
    while t_cdf(high, df) < probability:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if t_cdf(middle, df) < probability else (low, middle)
    return high


def t_cdf(value: float, df: float) -> float:
    """P(T < value) for a value of at least 0: 1 - I_x(df/2, 1/2)/2 with x = df/(df + value²) (DLMF 8.17; A&S 26.7.1)."""
    return 1 - _incomplete_beta(df / 2, 0.5, df / (df + value * value), value * value / (df + value * value)) / 2


def _incomplete_beta(a: float, b: float, x: float, rest: float) -> float:
    """The regularized incomplete beta function I_x(a, b); `rest` is 1 - x, which the caller knows without cancellation."""
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, rest, x)
    if x == 0:
        return 0.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest))
    return front / a * _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of DLMF 8.17.22, by the modified method of Lentz (Thompson and Barnett 1986)."""
    numerator, denominator = 1.0, 1 / (1 - (a + b) * x / (a + 1) or _TINY)
    result = denominator
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for term in (even, odd):
            denominator = 1 / (1 + term * denominator or _TINY)
            numerator = 1 + term / numerator or _TINY
            change = numerator * denominator
            result *= change
        if abs(change - 1) <= _ENOUGH:
            break
    return result
