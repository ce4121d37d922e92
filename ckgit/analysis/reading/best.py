"""The best evaluation of each task, by its first metric, and what stands against calling it so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ckgit.analysis.comparing.main_metric import MainMetric, main_metrics
from ckgit.experiment.results import CellResult, Metric, RunRow


class Best(NamedTuple):
    """An evaluation with the best value of a metric."""

    cell: CellResult
    metric: Metric
    of: int  # evaluations that have the metric
    lowest: bool  # whether the lowest value is taken for the best
    ties: Sequence[CellResult]  # others with the very same value
    overlapping: int  # others whose interval overlaps with its own
    uncertain: int  # others that cannot be held against it, as an interval is missing


def best_of_tasks(runs: Sequence[RunRow]) -> Iterator[Best]:
    """The best evaluation of each task that has a number, by the first metric that the task names."""
    cells = [cell for run in runs for cell in run.cells]
    for main in main_metrics(runs):
        if known := list(_with(cells, main)):
            yield _best(known, lowest=main.lowest)


def _with(cells: Sequence[CellResult], main: MainMetric) -> Iterator[tuple[CellResult, Metric, float]]:
    for cell in cells:
        if cell.task == main.task and (metric := main.of(cell)) and metric.value is not None:
            yield cell, metric, metric.value


def _best(known: Sequence[tuple[CellResult, Metric, float]], *, lowest: bool) -> Best:
    cell, metric, top = (min if lowest else max)(known, key=lambda each: each[2])
    others = [(other, one, value) for other, one, value in known if other is not cell]
    compared = [one for _, one, _ in others if None not in (one.low, one.high, metric.low, metric.high)]
    overlapping = sum(_overlap(metric, one) for one in compared)
    return Best(
        cell, metric, len(known), lowest, [other for other, _, value in others if value == top], overlapping, len(others) - len(compared)
    )


def _overlap(one: Metric, other: Metric) -> bool:
    ends = (one.low, one.high, other.low, other.high)
    low, high, lower, higher = (0.0 if end is None else end for end in ends)
    return low <= higher and lower <= high
