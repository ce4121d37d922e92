"""How much less rows tell that belong together than as many that each stand alone. Pure arithmetic on numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from ckgit.analysis.statistics.contrast import sum_of_squares
from ckgit.analysis.statistics.intervals import mean
from ckgit.analysis.statistics.linearised import clustered_variance

LEAST_CLUSTERS = 20  # below, a variance between clusters is hardly known: its standard error is √(2/(clusters-1)) of it, here a third


class DesignEffect(NamedTuple):
    """By what factor a variance over rows grows because they belong together."""

    effect: float  # of the differences between settings
    icc: float | None  # how alike rows of a cluster are (Kish 1965: effect = 1 + (m-1)·icc); None where each stands alone
    clusters: int
    rows: int


def design_effect(settings: Sequence[Sequence[float]], clusters: Sequence[Hashable]) -> DesignEffect | None:
    """Variance of mean differences with clusters (CR2) over that of as many rows that stand alone; None where no row differs from others.

    What is compared are differences between settings, in which much of what rows of a cluster share falls away. Over all pairs that is the
    same as of each setting from the mean of all, as both variances are quadratic forms. Of one setting there is none: what is alike in its
    scores tells nothing of differences, and may be many times as much.

    Args:
        settings: of each the scores of rows, in one order.
        clusters: of each row what it belongs to; two of them at least.
    """
    if len(settings) < 2:  # noqa: PLR2004 - a difference is of two
        return None
    middle = [mean(row) for row in zip(*settings, strict=True)]
    apart = [[score - other for score, other in zip(each, middle, strict=True)] for each in settings]
    rows, sizes = len(clusters), Counter(clusters)
    if len(sizes) < 2:  # noqa: PLR2004 - one says nothing of others
        return None
    alone = math.fsum(sum_of_squares(each) for each in apart) / (rows - 1) / rows
    if alone <= 0:
        return None
    effect = math.fsum(clustered_variance(each, clusters)[0] for each in apart) / alone
    size = math.fsum(count**2 for count in sizes.values()) / rows
    return DesignEffect(effect, (effect - 1) / (size - 1) if size > 1 else None, len(sizes), rows)
