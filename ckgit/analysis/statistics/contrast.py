"""Intervals of weighted sums of settings' scores, whose chance is that of rows and of training seeds. Pure arithmetic on numbers.

A difference of two settings has the weights 1 and -1, a slope those of least squares. Every run of it answered the same rows, and each row
counts once. Squared margins are added: Banerjee 1960 (Sankhya 22:357), with the row's own noise, which is in both parts, taken off one.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ckgit.analysis.statistics.intervals import mean, spreads
from ckgit.analysis.statistics.linearised import clustered_variance
from ckgit.analysis.statistics.t_distribution import t_quantile

_ENOUGH_OF_ONES_OWN = 4  # degrees of freedom with which a claim's settings carry their own spread between seeds
_FEW = 5  # right or wrong answers of a run, below which two rows are added
MARGINS, ROWS, SEEDS = "margins of rows and seeds", "margins of rows", "t of seeds"


@dataclass(frozen=True)
class ScoredSetting:
    """The rows' scores of one setting: one sequence for each run, the rows in the same order in all."""

    runs: tuple[tuple[float, ...], ...]
    trained: bool = True  # whether another seed would give another score

    @cached_property
    def run_means(self) -> tuple[float, ...]:
        """The score of each run."""
        return tuple(map(mean, self.runs))

    @cached_property
    def row_means(self) -> tuple[float, ...]:
        """The score of each row, over the runs."""
        return self.runs[0] if len(self.runs) == 1 else tuple(map(mean, zip(*self.runs, strict=True)))

    @property
    def df(self) -> int:
        """Degrees of freedom that its runs give the spread between seeds."""
        return len(self.runs) - 1 if self.trained else 0

    @cached_property
    def seed_variance(self) -> float:
        """Variance of the run's scores, n - 1; of at least two runs."""
        return sum_of_squares(self.run_means) / (len(self.runs) - 1)

    @cached_property
    def row_noise(self) -> float:
        """Mean square of row by seed: what one run's score of a row has that is neither the row's nor the run's; of at least two runs."""
        middle, df = mean(self.run_means), (len(self.runs) - 1) * (len(self.row_means) - 1)
        parts = (
            (score - own - row + middle) ** 2
            for run, own in zip(self.runs, self.run_means, strict=True)
            for score, row in zip(run, self.row_means, strict=True)
        )
        return math.fsum(parts) / df if df else 0.0


class Term(NamedTuple):
    """A setting with its weight in the sum."""

    weight: float
    setting: ScoredSetting


class SeedSpread(NamedTuple):
    """What the seeds add to the variance of a sum."""

    variance: float
    df: float
    borrowed: bool  # a setting's own spread was not enough, and that of other settings stands in for it
    in_rows: float  # what of it is in the variance between rows, too


class Contrast(NamedTuple):
    """A weighted sum with its interval. Without ends where the scores tell none."""

    value: float
    low: float | None
    high: float | None
    method: str
    borrowed: bool = False
    two_rows: bool = False  # one row, or one cluster, of each extreme was added
    df_seeds: float | None = None
    df_rows: float | None = None


def sum_of_squares(values: Sequence[float]) -> float:
    """Of the distances from their mean."""
    middle = mean(values)
    return math.fsum((value - middle) ** 2 for value in values)


class Components(NamedTuple):
    """A weighted sum with the parts of its variance, from which the interval of any level follows."""

    value: float
    rows: float  # variance between rows, of the mean
    df_rows: float  # 0 of a single row, or of a single cluster
    seeds: SeedSpread | None
    two_rows: bool

    def at(self, level: float) -> Contrast:
        """The sum with its interval of that coverage."""
        upper, seeds = (1 + level) / 2, self.seeds
        counted_twice = seeds.in_rows if seeds and seeds.variance else 0.0  # seeds that agree to the last digit say nothing of their noise
        squared = t_quantile(upper, self.df_rows) ** 2 * max(self.rows - counted_twice, 0.0) if self.df_rows else math.inf
        squared += t_quantile(upper, seeds.df) ** 2 * seeds.variance if seeds else 0.0
        found = _around(self.value, math.sqrt(squared), MARGINS if seeds else ROWS)
        borrowed, df_seeds = (seeds.borrowed, seeds.df) if seeds else (False, None)
        return found._replace(borrowed=borrowed, two_rows=self.two_rows, df_seeds=df_seeds, df_rows=self.df_rows)


def components(
    terms: Sequence[Term],
    pool: Sequence[ScoredSetting],
    *,
    unit: bool = False,
    clusters: Sequence[Hashable] | None = None,
    own_spreads: bool = False,
) -> Components:
    """The sum for any seed and for rows like these; for these models where no setting was trained twice.

    Args:
        pool: every setting of the experiment, the sum's own ones too.
        unit: whether each score is 0 or 1, so that a spread of nothing says no more than few rows do.
        clusters: of each row what it belongs to, where rows belong together.
        own_spreads: of a trend: each setting has its own spread between seeds, and the degrees of freedom are Satterthwaite's.
    """
    weights = [term.weight for term in terms]
    sums = [math.fsum(weight * score for weight, score in zip(weights, row, strict=True)) for row in _rows(terms)]
    extreme = unit and (_extreme(terms) or not spreads(sums))
    together = clusters if clusters is not None else range(len(sums))
    size = _usual_size(together) if extreme else 0  # rows that are all alike say no more than as many as their clusters
    added = [math.fsum(max(sign * weight, 0.0) for weight in weights) * sign for sign in (1, -1) for _ in range(size)]
    known = len({*together}) > 1  # one cluster says nothing of others, whatever is added
    with_added = [*clusters, *["+"] * size, *["-"] * size] if clusters is not None else None
    variance, df = _row_variance([*sums, *added], with_added) if known or clusters is None else (0.0, 0.0)
    seeds = seed_spread(terms, pool, len(sums), own_spreads=own_spreads)
    return Components(mean([*sums, *added]), variance, df, seeds, bool(added))


def _usual_size(clusters: Sequence[Hashable]) -> int:
    """Rows of a cluster, on average."""
    return round(len(clusters) / len({*clusters})) if clusters else 1


def margins(
    terms: Sequence[Term],
    pool: Sequence[ScoredSetting],
    *,
    level: float = 0.95,
    unit: bool = False,
    clusters: Sequence[Hashable] | None = None,
    own_spreads: bool = False,
) -> Contrast:
    """The sum with its interval; the arguments are those of `components`.

    Args:
        level: coverage.
    """
    return components(terms, pool, unit=unit, clusters=clusters, own_spreads=own_spreads).at(level)


def _around(value: float, half: float, method: str) -> Contrast:
    whole = 0 < half < math.inf
    return Contrast(value, value - half if whole else None, value + half if whole else None, method)


def seeds_alone(terms: Sequence[Term], pool: Sequence[ScoredSetting], *, level: float = 0.95) -> Contrast | None:
    """The sum for any seed, on exactly these rows: ± t·√V with the variance between seeds alone; None where nothing was trained twice.

    The runs of a setting may have one row each: its whole score.
    """
    seeds = seed_spread(terms, pool, 1, own_spreads=False)
    if seeds is None:
        return None
    value = math.fsum(term.weight * mean(term.setting.run_means) for term in terms)
    found = _around(value, t_quantile((1 + level) / 2, seeds.df) * math.sqrt(seeds.variance), SEEDS)
    return found._replace(borrowed=seeds.borrowed, df_seeds=seeds.df)


def seed_spread(terms: Sequence[Term], pool: Sequence[ScoredSetting], rows: int, *, own_spreads: bool) -> SeedSpread | None:
    """What seeds add to the variance; None where no setting that was trained was trained twice, or none of the sum's was trained.

    The sum's own settings pool their spread where they have as many runs each, and four degrees of freedom together. Otherwise each
    takes the larger one of its own spread and of that of all settings.
    """
    trained = [term for term in terms if term.setting.trained]
    known = [setting for setting in pool if setting.df > 0]
    if not trained or not known:
        return None
    df: float = sum(setting.df for setting in known)
    noise = math.fsum(setting.df * setting.row_noise for setting in known) / df
    in_rows = [
        term.weight**2 * (term.setting.row_noise if term.setting.df else noise) / (rows * len(term.setting.runs)) for term in trained
    ]
    own = [term.setting for term in trained]
    if own_spreads and all(setting.df for setting in own):
        parts = [term.weight**2 * term.setting.seed_variance / len(term.setting.runs) for term in trained]
        squares = math.fsum(part**2 / setting.df for part, setting in zip(parts, own, strict=True))
        whole = math.fsum(parts)
        df = whole**2 / squares if squares else sum(setting.df for setting in own)
        return SeedSpread(whole, df, borrowed=False, in_rows=math.fsum(in_rows))
    alone = len({len(setting.runs) for setting in own}) == 1 and sum(setting.df for setting in own) >= _ENOUGH_OF_ONES_OWN
    source = own if alone else known
    pooled = math.fsum(setting.df * setting.seed_variance for setting in source) / sum(setting.df for setting in source)
    variance = math.fsum(term.weight**2 * _larger(pooled, term.setting, alone=alone) / len(term.setting.runs) for term in trained)
    with_own = sum(setting.df > 0 for setting in own)
    borrowed = not alone and (with_own < len(own) or with_own < len(known))
    return SeedSpread(variance, sum(setting.df for setting in source), borrowed, math.fsum(in_rows))


def _larger(pooled: float, setting: ScoredSetting, *, alone: bool) -> float:
    return pooled if alone or not setting.df else max(pooled, setting.seed_variance)


def _rows(terms: Sequence[Term]) -> zip[tuple[float, ...]]:
    return zip(*(term.setting.row_means for term in terms), strict=True)


def _extreme(terms: Sequence[Term]) -> bool:
    """Whether a run has hardly a right answer, or hardly a wrong one."""
    counted = [(math.fsum(run), len(run)) for term in terms for run in term.setting.runs]
    return any(right < _FEW or rows - right < _FEW for right, rows in counted)


def _row_variance(sums: Sequence[float], clusters: Sequence[Hashable] | None) -> tuple[float, float]:
    """The variance of their mean, and its degrees of freedom; none of a single row, or of a single cluster."""
    if clusters is not None:
        return clustered_variance(sums, clusters)
    rows = len(sums)
    if rows < 2:  # noqa: PLR2004 - one number has no spread
        return 0.0, 0.0
    return (sum_of_squares(sums) / (rows - 1) / rows if spreads(sums) else 0.0), rows - 1
