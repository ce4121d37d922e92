"""How long start-up takes and how fast work goes, from jobs that have run. Pure.

A job takes `start + scale * work`, where `work` is what assumed speeds give for it without start-up. Both are fitted together, in
logarithms: each is as close to what is assumed as the earlier jobs allow. So a short job, most of which is start-up, says
what start-up takes, and a long one how fast the work goes; what one job leaves open is shared out by its two parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

MOST = 60  # jobs that are looked at, of those that are given the first ones
_TRUST = math.log(3.0)  # assumed values may be wrong by this factor
_NOISE = math.log(1.1)  # jobs that are alike differ by this one
_REACH, _STEPS, _ROUNDS = math.log(1000.0), 12, 6  # of the search: the largest factor, points to each side, and how often it narrows


class PastJob(NamedTuple):
    """A job that has run. Seconds."""

    work: float  # by assumed speeds, without start-up
    taken: float


class Fit(NamedTuple):
    """What a job takes: `start` seconds, and `scale` times its assumed work."""

    start: float
    scale: float


def fit(assumed_start: float, past: Sequence[PastJob]) -> Fit:
    """Start-up and scale that fit earlier jobs of a kind; what is assumed where there are none.

    One job that took far longer than the others carries nothing away: distances count, not their squares.
    """
    known = past[:MOST]
    if not known:
        return Fit(assumed_start, 1.0)

    def cost(place: tuple[float, float]) -> float:
        start, scale = assumed_start * math.exp(place[0]), math.exp(place[1])
        distances = sum(abs(math.log(job.taken / (start + scale * job.work))) for job in known)
        return distances / _NOISE + (place[0] ** 2 + place[1] ** 2) / (2 * _TRUST**2)

    best, reach = (0.0, 0.0), _REACH
    for _ in range(_ROUNDS):
        best = min(_around(best, reach), key=cost)
        reach /= _STEPS / 3
    return Fit(assumed_start * math.exp(best[0]), math.exp(best[1]))


def _around(centre: tuple[float, float], reach: float) -> Iterable[tuple[float, float]]:
    """A grid of points, the centre first, so that it stays where no other is better."""
    steps = sorted(range(-_STEPS, _STEPS + 1), key=abs)
    return [(centre[0] + reach * a / _STEPS, centre[1] + reach * b / _STEPS) for a in steps for b in steps]
