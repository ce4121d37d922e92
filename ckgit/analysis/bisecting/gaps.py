"""Scores at the corners between two runs, and the intervals of what a change of parameters makes of them. Pure.

With one run a corner an interval is about these models; where a setting was trained several times it is about settings, any seed: the
methods are those of a claim's verdict, `scores.difference` and `statistics.contrast`. As several intervals are looked at together, each has
the level 1 - 0.05/m (Bonferroni), so that all of them together have that of a report's interval.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from ckgit.analysis.bisecting.corners import Corner
from ckgit.analysis.comparing.same_rows import clusters_in, paired, rows_in, shared_rows
from ckgit.analysis.scores import SampleScores, bounds, mean_scores, means, on_unit_scale
from ckgit.analysis.statistics.contrast import MARGINS, ScoredSetting, Term, margins
from ckgit.analysis.statistics.intervals import LEVEL, Interval, mean
from ckgit.experiment.results import CellResult, Metric


class ScoredRun(NamedTuple):
    """A run's evaluation, by one metric."""

    name: str
    cell: CellResult
    metric: Metric
    trained: bool
    together: bool  # whether its design says that rows belong together


class CornerDifference(NamedTuple):
    """A weighted sum of corners' scores."""

    value: float | None
    interval: Interval | None
    about: Literal["models", "settings"]


@dataclass(frozen=True)
class CornerScores:
    """What the runs at the corners scored, over the rows that all of them answered."""

    runs: Mapping[Corner, Sequence[ScoredRun]]
    compared: int = 1  # intervals that are looked at together

    @property
    def level(self) -> float:
        """Coverage of each interval."""
        return 1 - (1 - LEVEL) / max(self.compared, 1)

    @cached_property
    def rows(self) -> Sequence[int | str]:
        """Ids of rows that all runs answered: the same question with the same target."""
        return shared_rows([run.cell for run in self._all])

    @cached_property
    def clusters(self) -> Sequence[Hashable] | None:
        """What each of these rows belongs to, where rows belong together."""
        return clusters_in([run.cell for run in self._all], self.rows)

    @cached_property
    def untold(self) -> bool:
        """Whether rows belong together, and no run's results say which."""
        return self.clusters is None and any(run.together for run in self._all)

    @cached_property
    def others(self) -> int:
        """The most rows that a run answered beside these."""
        return max(len(rows_in(run.cell)) for run in self._all) - len(self.rows)

    @cached_property
    def are_means(self) -> bool:
        """Whether each run's metric is the mean of its rows' scores, so that they can be paired."""
        known = means([run.cell for run in self._all])
        return all((run.metric.scorer, run.metric.name) in known and mean_scores(run.cell, run.metric) for run in self._all)

    @cached_property
    def whole(self) -> bool:
        """Whether each of these rows has a score from every run."""
        return all(each.whole for corner in self._answers.values() for each in corner)

    @cached_property
    def seeds(self) -> bool:
        """Whether any setting that is trained was trained more than once."""
        return any(len(runs) > 1 and runs[0].trained for runs in self.runs.values())

    @property
    def _all(self) -> list[ScoredRun]:
        return [run for runs in self.runs.values() for run in runs]

    @property
    def _by_row(self) -> bool:
        return self.are_means and bool(self.rows)

    @cached_property
    def _answers(self) -> Mapping[Corner, Sequence[SampleScores]]:
        return {corner: [self._of(run) for run in runs] for corner, runs in self.runs.items()}

    def _of(self, run: ScoredRun) -> SampleScores:
        found = mean_scores(run.cell, run.metric)
        return SampleScores({row: found.by_id[row] for row in self.rows} if found else {})

    @cached_property
    def _unit(self) -> bool:
        every = [each for corner in self._answers.values() for each in corner]
        return all(on_unit_scale(run.metric, *every) for run in self._all)

    def value(self, corner: Corner) -> float | None:
        """The score at a corner, the mean over its runs; where rows do not tell one, of the metric as it was given."""
        runs = self.runs.get(corner, ())
        if not self._by_row:
            given = [run.metric.value for run in runs if run.metric.value is not None]
            return mean(given) if given and len(given) == len(runs) else None
        scored = [[*each.scored().values()] for each in self._answers.get(corner, ())]
        return mean([mean(values) for values in scored]) if scored and all(scored) else None

    def difference(self, weights: Mapping[Corner, float]) -> CornerDifference:
        """The weighted sum of corners' scores with its interval: weights 1 and -1 are a difference, four of them an interaction."""
        values = [self.value(corner) for corner in weights]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return CornerDifference(None, None, "models")
        value = math.fsum(weight * each for weight, each in zip(weights.values(), known, strict=True))
        if not self._by_row or self.untold:
            return CornerDifference(value, None, "models")
        if [*weights.values()] == [1.0, -1.0] and not self.seeds and all(len(self.runs[corner]) == 1 for corner in weights):
            one, other = (self._answers[corner][0] for corner in weights)
            return CornerDifference(value, paired(one, other, unit=self._unit, clusters=self.clusters, level=self.level), "models")
        if self.whole:
            return self._margins(value, weights, {})
        if not self._unit:
            return CornerDifference(value, None, "models")
        worst = {corner: float(weights.get(corner, 1.0) < 0) for corner in self.runs}
        found, best = (self._margins(value, weights, each) for each in (worst, {corner: 1 - each for corner, each in worst.items()}))
        return found._replace(interval=bounds(found.interval, best.interval))

    def _margins(self, value: float, weights: Mapping[Corner, float], missing: Mapping[Corner, float]) -> CornerDifference:
        """By margins of rows and seeds, with a number in place of each score that is missing at a corner."""
        settings = {corner: self._setting(corner, missing.get(corner, 0.0)) for corner in self.runs}
        binary = all(each.numbers <= {0.0, 1.0} for corner in self._answers.values() for each in corner)
        terms = [Term(weight, settings[corner]) for corner, weight in weights.items()]
        found = margins(terms, [*settings.values()], level=self.level, unit=self._unit and binary, clusters=self.clusters)
        known = found.low is not None and found.high is not None
        interval = Interval(found.low, found.high, found.method) if known else None  # type: ignore[arg-type] # both are known
        most = math.fsum(map(abs, weights.values())) / 2
        interval = interval.within(-most, most) if interval and self._unit else interval
        return CornerDifference(value, interval, "settings" if found.method == MARGINS else "models")

    def _setting(self, corner: Corner, missing: float) -> ScoredSetting:
        filled = [each.filled(missing) for each in self._answers[corner]]
        return ScoredSetting(tuple(tuple(each[row] for row in self.rows) for each in filled), self.runs[corner][0].trained)
