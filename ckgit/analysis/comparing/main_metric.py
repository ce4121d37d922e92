"""The one metric by which a task is drawn and compared: the first that it names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ckgit.experiment.results import CellResult, Metric, RunRow, last_evaluated

_LESS_IS_BETTER = re.compile(r"error|loss|perplexity|brier|distance|(?<![a-z])(?:mae|mse|rmse|ece|wer|cer|ppl|nll)(?![a-z])", re.IGNORECASE)


class MainMetric(NamedTuple):
    """A task's first metric."""

    task: str
    scorer: str
    name: str

    @property
    def lowest(self) -> bool:
        """Whether the lowest value is taken for the best."""
        return bool(_LESS_IS_BETTER.search(f"{self.scorer} {self.name}"))

    def of(self, cell: CellResult) -> Metric | None:
        """The metric of a cell of this task; None where it has none of that name."""
        return next((each for each in cell.metrics if (each.scorer, each.name) == (self.scorer, self.name)), None)


def main_metrics(runs: Sequence[RunRow]) -> list[MainMetric]:
    """Of each task that has a metric, in the order of the tasks."""
    found: dict[str, MainMetric] = {}
    for cell in (cell for run in runs for cell in run.cells):
        if cell.task not in found and cell.metrics:
            found[cell.task] = MainMetric(cell.task, cell.metrics[0].scorer, cell.metrics[0].name)
    return list(found.values())


def last_of(runs: Sequence[RunRow], task: str) -> list[CellResult]:
    """Each run's evaluation on a task: that of its last epoch."""
    found = ([cell for cell in run.cells if cell.task == task] for run in runs)
    return [last_evaluated(cells) for cells in found if cells]
