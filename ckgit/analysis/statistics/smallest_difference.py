"""The smallest difference of two runs that some rows can show: planning, before anything is run. Pure."""

from __future__ import annotations

import math

from ckgit.analysis.statistics.intervals import bonett_price


def smallest_difference(rows: int, disagreeing: float | None = None) -> float | None:
    """The least difference of two shares of right answers over the same rows whose 95 % interval (Bonett and Price) excludes 0.

    Args:
        rows: that both runs answer.
        disagreeing: share of the rows that one run has right and the other wrong; None for as few as the difference itself takes.

    Returns:
        The difference, from 0 to 1; None where not even the largest would be shown.
    """
    apart = None if disagreeing is None else math.floor(disagreeing * rows)
    most = rows if apart is None else apart
    low, high = 0, most + 1  # rows that are right on the left only; the lower end grows with them
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _shows(rows, middle, apart) else (middle, high)
    if high > most:
        return None
    return (high if apart is None else 2 * high - apart) / rows


def _shows(rows: int, left_only: int, apart: int | None) -> bool:
    right_only = 0 if apart is None else apart - left_only
    same = rows - left_only - right_only
    return bonett_price([1.0] * left_only + [-1.0] * right_only + [0.0] * same).low > 0
