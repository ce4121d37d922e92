"""P-values of no difference, and their correction for how many there are. Pure arithmetic; each names its source."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ckgit.analysis.statistics.intervals import error_of_mean, mean, spreads
from ckgit.analysis.statistics.t_distribution import t_cdf

_HALVINGS = 20  # of the level, in which a p-value is found: to a millionth, as each takes a quantile of t


def mcnemar_mid_p(more: int, less: int) -> float:
    """Two 0/1 scores over the same rows: McNemar's mid-p test (Fagerland, Lydersen and Laake 2013, BMC Med. Res. Methodol. 13:91).

    Args:
        more: rows that only the left one has right.
        less: rows that only the right one has right.
    """
    apart = more + less
    if not apart:
        return 1.0
    point = math.comb(apart, more) / (1 << apart)
    if more == less:
        return 1 - point / 2
    tail = sum(math.comb(apart, each) for each in range(min(more, less) + 1)) / (1 << apart)
    return min(1.0, 2 * tail - point)


def paired_t(differences: Sequence[float]) -> float | None:
    """The mean of differences by row is 0: Student's t with n - 1 degrees of freedom; None where they do not spread."""
    if not spreads(differences):
        return None
    return 2 * (1 - t_cdf(abs(mean(differences)) / error_of_mean(differences), len(differences) - 1))


def by_inversion(excludes: Callable[[float], bool]) -> float:
    """One minus the largest level at which an interval leaves out 0.

    Args:
        excludes: whether the interval of a level does; an interval of a higher level is wider.
    """
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if excludes(middle) else (low, middle)
    return 1 - low


def holm(values: Sequence[float]) -> list[float]:
    """Corrected for how many they are: Holm 1979 (Scand. J. Stat. 6:65), so that 0.05 bounds the chance of any false one."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    found, largest = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[place]))
        found[place] = largest
    return found
