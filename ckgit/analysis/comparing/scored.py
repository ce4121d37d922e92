"""Each setting's cells on a task, and its score over all its runs."""

from __future__ import annotations

import math
from collections.abc import Container, Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from ckgit.analysis.comparing.main_metric import MainMetric, main_metrics
from ckgit.analysis.scores import SampleScores, clusters_of, mean_scores, means, on_unit_scale, scored_count
from ckgit.analysis.statistics.contrast import Contrast, ScoredSetting, Term, margins, sum_of_squares
from ckgit.analysis.statistics.design_effect import design_effect
from ckgit.analysis.statistics.intervals import mean
from ckgit.experiment.claims.verdicts import Quantity
from ckgit.experiment.design.model import RunType
from ckgit.experiment.measured.compared import RowClusters, SettingSummary
from ckgit.experiment.results import CellResult, Metric, RunRow, last_evaluated

_SEED = "seed"


class RunScore(NamedTuple):
    """One run's last evaluation on a task, with a value."""

    cell: CellResult
    metric: Metric
    value: float
    answers: SampleScores | None  # None where the metric is not their mean

    @property
    def rows(self) -> dict[int | str, str | None]:
        """What it answered: ids alone are often no more than numbers of rows."""
        return {sample.id: sample.target for sample in self.cell.samples}

    @property
    def whole(self) -> bool:
        """Whether every answer has a score."""
        return scored_count(self.cell, self.metric).whole


class SettingOnTask:
    """A setting with what its runs came to on one task."""

    def __init__(
        self, name: str, runs: Sequence[RunRow], main: MainMetric, known: Container[tuple[str, str]], column: str | None = None
    ) -> None:
        self.name, self.main, self.type, self._column = name, main, runs[0].type, column
        self.varied = {key: value for key, value in runs[0].varied.items() if key != _SEED or len(runs) == 1}
        self.again = tuple(run.name for run in runs if run.again)
        found = {run.name: _run_score(run, main, known) for run in runs if not run.again}
        self.scores = [score for score in found.values() if score]
        self.missing = tuple(name for name, score in found.items() if not score)

    @property
    def trained(self) -> bool:
        """Whether another seed would give another score."""
        return self.type is RunType.FINE_TUNED

    @cached_property
    def values(self) -> tuple[float, ...]:
        """The value of each run."""
        return tuple(score.value for score in self.scores)

    @cached_property
    def by_row(self) -> ScoredSetting | None:
        """Scores row by row, in the order of the first run's; None where they are not of the same rows, or not all there."""
        answers = [score.answers for score in self.scores if score.answers and score.answers.whole and score.whole]
        if not answers or len(answers) < len(self.scores) or any(score.rows != self.scores[0].rows for score in self.scores):
            return None
        order = list(answers[0].by_id)
        scored = [each.scored() for each in answers]
        return ScoredSetting(tuple(tuple(run[key] for key in order) for run in scored), self.trained)

    @cached_property
    def clusters(self) -> list[Hashable] | None:
        """What each row belongs to, in the order of `by_row`; None where rows are not said to belong together."""
        if self._column is None or not self.scores:
            return None
        return list(clusters_of(self.scores[0].cell, self._column).values())

    @cached_property
    def binary(self) -> bool:
        """Whether every score is 0 or 1."""
        return all(score.answers is not None and score.answers.numbers <= {0.0, 1.0} for score in self.scores)

    @cached_property
    def unit(self) -> bool:
        """Whether every score lies between 0 and 1."""
        return all(score.answers is not None and on_unit_scale(score.metric, score.answers) for score in self.scores)

    def summary(self, pool: Sequence[ScoredSetting]) -> SettingSummary:
        """Over all runs, with the interval that suits how many there are.

        Args:
            pool: all settings of the task that are known row by row.
        """
        count = len(self.values)
        sd = math.sqrt(sum_of_squares(self.values) / (count - 1)) if count > 1 else None
        low, high, method, quantity = self._interval(pool)
        return SettingSummary(
            task=self.main.task,
            scorer=self.main.scorer,
            metric=self.main.name,
            setting=self.name,
            type=self.type,
            varied=self.varied,
            runs=tuple(score.cell.run for score in self.scores),
            scores=self.values,
            mean=mean(self.values) if count else None,
            sd=sd,
            low=low,
            high=high,
            interval=method,
            quantity=quantity,
            missing=self.missing,
            again=self.again,
        )

    def _interval(self, pool: Sequence[ScoredSetting]) -> tuple[float | None, float | None, str | None, Quantity | None]:
        if len(self.scores) == 1 and not self.clusters:
            metric = self.scores[0].metric
            return metric.low, metric.high, metric.interval, None if metric.low is None else Quantity.MODELS
        if not self.scores or not self.by_row:
            return None, None, None, None
        found: Contrast = margins([Term(1.0, self.by_row)], pool, unit=self.binary, clusters=self.clusters)
        if found.low is None or found.high is None:
            return None, None, None, None
        low, high = (max(found.low, 0.0), min(found.high, 1.0)) if self.unit else (found.low, found.high)
        return low, high, found.method, Quantity.SETTINGS if found.df_seeds else Quantity.MODELS


def _run_score(run: RunRow, main: MainMetric, known: Container[tuple[str, str]]) -> RunScore | None:
    cells = [cell for cell in run.cells if cell.task == main.task]
    if not cells:
        return None
    cell = last_evaluated(cells)
    metric = main.of(cell)
    if metric is None or metric.value is None:
        return None
    return RunScore(cell, metric, metric.value, mean_scores(cell, metric) if (main.scorer, main.name) in known else None)


def settings_on_tasks(runs: Sequence[RunRow], clusters: Mapping[str, str]) -> Iterator[tuple[MainMetric, list[SettingOnTask]]]:
    """Each task with all settings that were to be evaluated on it, those without a value too, in the order of the runs.

    Args:
        clusters: by task the metadata column whose rows belong together.
    """
    for main in main_metrics(runs):
        of_task = [run for run in runs if _asked(run, main.task)]
        known = means([cell for run in of_task for cell in run.cells if cell.task == main.task])
        grouped: dict[str, list[RunRow]] = {}
        for run in of_task:
            grouped.setdefault(run.setting or run.name, []).append(run)
        yield main, [SettingOnTask(name, group, main, known, clusters.get(main.task)) for name, group in grouped.items()]


def clusterings(runs: Sequence[RunRow], clusters: Mapping[str, str]) -> Iterator[RowClusters]:
    """How much less rows tell of differences because they belong together, of each task whose same rows two settings or more answered.

    Args:
        clusters: as in `settings_on_tasks`.
    """
    for main, settings in settings_on_tasks(runs, clusters):
        column = clusters.get(main.task)
        same = _of_same_rows([setting for setting in settings if setting.by_row]) if column else []
        if not column or not same:
            continue
        first = same[0].scores[0]
        means = [dict(zip(each.scores[0].rows, each.by_row.row_means, strict=True)) for each in same if each.by_row]
        together = list(clusters_of(first.cell, column).values())
        if found := design_effect([[each[row] for row in first.rows] for each in means], together):
            yield RowClusters(task=main.task, column=column, sketch=first.cell.rows, **found._asdict())


def _of_same_rows(settings: Sequence[SettingOnTask]) -> Sequence[SettingOnTask]:
    """The most settings that answered the same rows, in whatever order."""
    groups: list[list[SettingOnTask]] = []
    for setting in settings:
        own = next((each for each in groups if each[0].scores[0].rows == setting.scores[0].rows), None)
        if own:
            own.append(setting)
        else:
            groups.append([setting])
    return max(groups, key=len, default=[])


def _asked(run: RunRow, task: str) -> bool:
    """Whether a run was to be evaluated on a task: it was, or nothing is there of it at all."""
    return any(cell.task == task for cell in run.cells) or (bool(run.missing) and not run.cells)


def summaries(runs: Sequence[RunRow], clusters: Mapping[str, str]) -> Iterator[SettingSummary]:
    """Each setting by the main metric of each task; `clusters` as in `settings_on_tasks`."""
    for _, settings in settings_on_tasks(runs, clusters):
        pool = [setting.by_row for setting in settings if setting.by_row]
        yield from (setting.summary(pool) for setting in settings)
