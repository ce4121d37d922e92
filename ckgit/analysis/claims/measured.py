"""What was measured of each run by a claim's metric, and which scores of rows it is made of. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from ckgit.analysis.scores import SampleScores, ScoredCount, clusters_of, mean_scores, means, scored_count
from ckgit.experiment.design.claim import Claim
from ckgit.experiment.design.model import DataSet
from ckgit.experiment.results import CellResult, Metric, RunRow, last_evaluated


class Side(NamedTuple):
    """What a run was measured at."""

    name: str
    cell: CellResult
    metric: Metric
    value: float
    counted: ScoredCount
    answers: SampleScores | None  # None where the metric is not their mean
    data: DataSet | None = None  # what it was evaluated on, where that is known


class Absent(NamedTuple):
    """Why there is no number of a run."""

    reason: str
    undefined: bool = False  # it was measured, and these answers have no such number


@dataclass(frozen=True)
class Measured:
    """The results of a claim's task, as its metric has them."""

    claim: Claim
    rows: Sequence[RunRow]
    clusters: str | None = None  # metadata column whose rows belong together
    data: Mapping[str, DataSet] = field(default_factory=dict)  # by run what it was evaluated on, where that is known

    @cached_property
    def _cells(self) -> list[CellResult]:
        return [cell for run in self.rows for cell in run.cells if cell.task == self.claim.task]

    @cached_property
    def _by_run(self) -> dict[str, list[CellResult]]:
        found: dict[str, list[CellResult]] = {}
        for cell in self._cells:
            found.setdefault(cell.run, []).append(cell)
        return found

    @cached_property
    def _means(self) -> frozenset[tuple[str, str]]:
        return means(self._cells)

    def of(self, name: str) -> Side | Absent:
        """What a run was measured at; the last epoch that was evaluated counts."""
        claim, own = self.claim, self._by_run.get(name, [])
        if not own:
            return Absent(f"there is no result of {name} on {claim.task}")
        cell = last_evaluated(own)
        found = [metric for metric in cell.metrics if metric.name == claim.metric and claim.scorer in (None, metric.scorer)]
        if not found:
            listed = ", ".join(dict.fromkeys(metric.name for metric in cell.metrics)) or "none"
            return Absent(f"{name} on {claim.task} has no metric {claim.metric} (it has: {listed})")
        if len(found) > 1:
            named = ", ".join(metric.scorer for metric in found)
            return Absent(f"{claim.metric} belongs to several scorers ({named}), and the claim names none")
        [metric] = found
        counted = scored_count(cell, metric)
        if metric.value is None:
            share = "" if counted.whole else f" ({counted})"
            return Absent(f"{claim.metric} of {name} on {claim.task} is undefined{share}", undefined=True)
        answers = mean_scores(cell, metric) if (metric.scorer, metric.name) in self._means else None
        return Side(name, cell, metric, metric.value, counted, answers, self.data.get(name))

    def clusters_of(self, cell: CellResult) -> Mapping[object, Hashable] | None:
        """What each row belongs to; None where rows do not belong together."""
        return clusters_of(cell, self.clusters) if self.clusters else None


def targets(cell: CellResult) -> dict[int | str, str | None]:
    """What was right for each row: ids alone are often no more than numbers of rows."""
    return {sample.id: sample.target for sample in cell.samples}
