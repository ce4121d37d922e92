"""Intervals of numbers that are no plain means, 95 %: a standard error, and a scale on which the number is nearly normal.

The delta method: Oehlert 1992 (Am. Stat. 46:27). `python -m bench.coverage` has how often each of them holds.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from ckgit.analysis.statistics.intervals import Interval, mean
from ckgit.analysis.statistics.t_distribution import t_quantile

_UPPER = 0.975


class Error(NamedTuple):
    """A standard error, and the t-distribution's quantile that goes with its degrees of freedom."""

    stderr: float
    quantile: float


def of_mean(values: Sequence[float]) -> Error | None:
    """s/√n with n-1 degrees of freedom, of at least two numbers; None where they do not differ."""
    if len(values) < 2 or min(values) == max(values):  # noqa: PLR2004 - one number has no spread
        return None
    middle, count = mean(values), len(values)
    squares = math.fsum((value - middle) ** 2 for value in values)
    return Error(math.sqrt(squares / (count - 1) / count), t_quantile(_UPPER, count - 1))


def of_clustered_mean(values: Sequence[float], clusters: Sequence[Hashable]) -> Error | None:
    """Of the mean of numbers of which those of one cluster belong together; None with one cluster, or where none differs."""
    return of_clustered_means(values, [None] * len(values), {None: 1.0}, clusters)


def of_clustered_means(
    values: Sequence[float], groups: Sequence[Hashable], weights: Mapping[Any, float], clusters: Sequence[Hashable], upper: float = _UPPER
) -> Error | None:
    """Of a weighted sum of the means of groups; None where a group has one cluster, or none of its numbers differs.

    Args:
        groups: of each number its group. A cluster may lie in several.
        weights: of each group.
        upper: probability below the quantile.
    """
    variance, df = variance_of_means(values, groups, weights, clusters)
    return Error(math.sqrt(variance), t_quantile(upper, df)) if variance > 0 else None


def clustered_variance(values: Sequence[float], clusters: Sequence[Hashable]) -> tuple[float, float]:
    """The variance of the mean of such numbers and its degrees of freedom; (0, 0) of a single cluster."""
    return variance_of_means(values, [None] * len(values), {None: 1.0}, clusters)


def variance_of_means(
    values: Sequence[float], groups: Sequence[Hashable], weights: Mapping[Any, float], clusters: Sequence[Hashable]
) -> tuple[float, float]:
    """The variance of a weighted sum of groups' means, and its degrees of freedom; (0, 0) where a group's numbers are of one cluster.

    CR2, Bell and McCaffrey 2002 (Surv. Methodol. 28:169), of the regression on the groups. In group g with n_g numbers, n_gc of them in
    cluster c, r_gc is the sum of their distances from the group's mean, and w_gc = 1/√(1-n_gc/n_g): variance Σ_c (Σ_g a_g w_gc r_gc/n_g)²,
    degrees of freedom (tr C)²/tr(C²) with C_cd = [c=d]·Σ_g a_g² w_gc² n_gc/n_g² - Σ_g p_gc p_gd and p_gc = a_g w_gc n_gc/n_g^1.5.
    """
    parts = _by_group_and_cluster(values, groups, clusters)
    if any(len(of_group) < 2 for of_group in parts.values()):  # noqa: PLR2004 - one cluster has no spread
        return 0.0, 0.0
    pulls: dict[Hashable, float] = {}
    own: dict[Hashable, float] = {}
    products: list[dict[Hashable, float]] = []
    for group, of_group in parts.items():
        weight, count = weights[group], sum(len(each) for each in of_group.values())
        middle = mean([value for each in of_group.values() for value in each])
        product: dict[Hashable, float] = {}
        for cluster, each in of_group.items():
            scale = weight / math.sqrt(1 - len(each) / count) / count
            pulls[cluster] = pulls.get(cluster, 0.0) + scale * math.fsum(value - middle for value in each)
            own[cluster] = own.get(cluster, 0.0) + scale**2 * len(each)
            product[cluster] = scale * len(each) / math.sqrt(count)
        products.append(product)
    return math.fsum(pull**2 for pull in pulls.values()), _clustered_df(own, products)


def _by_group_and_cluster(
    values: Sequence[float], groups: Sequence[Hashable], clusters: Sequence[Hashable]
) -> dict[Hashable, dict[Hashable, list[float]]]:
    parts: dict[Hashable, dict[Hashable, list[float]]] = {}
    for value, group, cluster in zip(values, groups, clusters, strict=True):
        parts.setdefault(group, {}).setdefault(cluster, []).append(value)
    return parts


def _clustered_df(own: Mapping[Hashable, float], products: Sequence[Mapping[Hashable, float]]) -> float:
    """(tr C)²/tr(C²), of which the terms off the diagonal are sums of products, so that no matrix is needed."""
    trace = math.fsum(own.values()) - math.fsum(value**2 for product in products for value in product.values())
    squares = math.fsum(value**2 for value in own.values())
    squares -= 2 * math.fsum(own[cluster] * value**2 for product in products for cluster, value in product.items())
    squares += math.fsum(
        math.fsum(value * other.get(cluster, 0.0) for cluster, value in product.items()) ** 2 for product in products for other in products
    )
    return trace**2 / squares


def plain(value: float, error: Error, method: str) -> Interval:
    """The number ± so many standard errors."""
    half = error.quantile * error.stderr
    return Interval(value - half, value + half, method)


def on_logits(value: float, error: Error, method: str, *, centre: float | None = None) -> Interval:
    """Of a number between 0 and 1: on the scale of its log odds, on which an interval stays within.

    Args:
        centre: where the interval is laid, where that is not the number itself; the standard error is there.
    """
    middle = value if centre is None else centre
    logit = math.log(middle / (1 - middle))
    half = error.quantile * error.stderr / (middle * (1 - middle))
    low, high = (1 / (1 + math.exp(-each)) if each > -700 else 0.0 for each in (logit - half, logit + half))  # noqa: PLR2004 - exp overflows
    return Interval(min(low, value), max(high, value), method)


def clustered_interval(values: Sequence[float], clusters: Sequence[Hashable], *, unit: bool) -> Interval | None:
    """Of the mean of numbers that belong together; of those between 0 and 1 on the log odds, as it is skewed near either end."""
    error, value = of_clustered_mean(values, clusters), mean(values)
    if not error:
        return None
    return on_logits(value, error, "CR2 on log odds") if unit and 0 < value < 1 else plain(value, error, "CR2")


def below_one(value: float, error: Error, method: str) -> Interval:
    """Of a number below 1 that spreads less the nearer it is: on the scale of 1/√(1-x)."""
    middle = 1 / math.sqrt(1 - value)
    half = error.quantile * error.stderr * middle**3 / 2
    return Interval(1 - 1 / max(middle - half, 1e-9) ** 2, 1 - 1 / (middle + half) ** 2, method)


def on_inverses(value: float, error: Error, method: str) -> Interval | None:
    """Of a positive number whose upper tail is long: on the scale of 1/x; None where that would have no upper end."""
    half = error.quantile * error.stderr / value
    return Interval(value / (1 + half), value / (1 - half), method) if half < 1 else None
