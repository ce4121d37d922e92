"""Scores by groups of rows, and the largest gap between two of them. What is looked at beside the claims is exploratory."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from ckgit.analysis.comparing.main_metric import last_of
from ckgit.analysis.samples_file import as_text
from ckgit.analysis.scores import clusters_of, mean_scores, means, on_unit_scale
from ckgit.analysis.statistics import intervals
from ckgit.analysis.statistics.intervals import Interval
from ckgit.analysis.statistics.linearised import clustered_interval, of_clustered_means, plain
from ckgit.experiment.design.model import TaskSpec
from ckgit.experiment.measured.measures import GroupedScores, GroupGap, GroupScore
from ckgit.experiment.results import CellResult, Metric, RunRow

MOST_VALUES = 12  # of a column that suits, and of one that is named
LEAST_ROWS = 10  # of a value: with fewer there is no interval, and the column is not taken by itself
MOST_COLUMNS = 6  # that are taken by themselves
_ALPHA = 0.05


class _Rows(NamedTuple):
    """The scores of a cell's rows by id, and what else is known of each."""

    cell: CellResult
    metric: Metric
    scores: Mapping[object, float]
    columns: Mapping[object, Mapping[str, str]]
    binary: bool
    unit: bool


def grouped(task: TaskSpec, runs: Sequence[RunRow]) -> Iterator[GroupedScores]:
    """The scores of each run's last evaluation on a task, by the columns that the task names; by those that suit, where it names none."""
    cells = last_of(runs, task.name)
    known = means(cells)
    found = [rows for cell in cells if (rows := _rows(cell, known))]
    columns = {rows.cell.run: list(task.groups) or _suiting(rows, task.clusters) for rows in found}
    split = [(rows, name, parts) for rows in found for name in columns[rows.cell.run] if (parts := _parts(rows, name)) or task.groups]
    gaps = sum(len(list(_pairs(parts))) for _, _, parts in split)
    for rows, name, parts in split:
        yield _scores(rows, name, parts, gaps, task.clusters)


def _rows(cell: CellResult, known: frozenset[tuple[str, str]]) -> _Rows | None:
    """By the first metric that is a mean of its rows' scores; None where there is none."""
    for metric in cell.metrics:
        answers = mean_scores(cell, metric) if (metric.scorer, metric.name) in known else None
        if answers:
            columns: dict[object, dict[str, str]] = {
                sample.id: {name: text for name, value in sample.metadata.items() if (text := as_text(value)) is not None}
                for sample in cell.samples
            }
            return _Rows(cell, metric, answers.scored(), columns, answers.binary, on_unit_scale(metric, answers))
    return None


def _suiting(rows: _Rows, clusters: str | None) -> list[str]:
    """Columns of 2 to 12 values, each with enough rows, in order of the alphabet."""
    names = sorted({name for known in rows.columns.values() for name in known} - {clusters})
    return [name for name in names if (parts := _parts(rows, name)) and _suits(parts)][:MOST_COLUMNS]


def _suits(parts: Mapping[str, Sequence[object]]) -> bool:
    return 1 < len(parts) <= MOST_VALUES and min(map(len, parts.values())) >= LEAST_ROWS


def _parts(rows: _Rows, column: str) -> dict[str, list[object]]:
    """Ids of rows with a score by the column's value."""
    parts: dict[str, list[object]] = {}
    for key in rows.scores:
        if (value := rows.columns[key].get(column)) is not None:
            parts.setdefault(value, []).append(key)
    return dict(sorted(parts.items()))


def _pairs(parts: Mapping[str, Sequence[object]]) -> Iterator[tuple[str, str]]:
    """Of the values that are shown, those between which there is an interval."""
    shown = list(parts)[:MOST_VALUES]
    return combinations([value for value in shown if len(parts[value]) >= LEAST_ROWS], 2)


def _scores(rows: _Rows, column: str, parts: Mapping[str, Sequence[object]], gaps: int, clusters: str | None) -> GroupedScores:
    values = {value: [rows.scores[key] for key in keys] for value, keys in list(parts.items())[:MOST_VALUES]}
    groups = tuple(_group(rows, value, each, _clusters_of(rows, parts[value], clusters)) for value, each in values.items())
    return GroupedScores(
        run=rows.cell.run,
        task=rows.cell.task,
        epoch=rows.cell.epoch,
        checkpoint=rows.cell.checkpoint,
        column=column,
        scorer=rows.metric.scorer,
        metric=rows.metric.name,
        groups=groups,
        left_out=len(rows.columns) - sum(map(len, values.values())),
        gap=_gap(rows, parts, values, gaps, clusters),
    )


def _clusters_of(rows: _Rows, keys: Sequence[object], clusters: str | None) -> list[Hashable] | None:
    """What each row belongs to; None where no column is named."""
    if clusters is None:
        return None
    known = clusters_of(rows.cell, clusters)
    return [known[key] for key in keys]


def _group(rows: _Rows, value: str, scores: Sequence[float], clusters: Sequence[Hashable] | None) -> GroupScore:
    middle = intervals.mean(scores)
    ends = _ends(rows, scores, clusters) if len(scores) >= LEAST_ROWS else None
    found = GroupScore(value=value, rows=len(scores), score=middle)
    return found.model_copy(update=_fields(ends)) if ends else found


def _fields(ends: Interval) -> dict[str, float | str]:
    return {"low": ends.low, "high": ends.high, "interval": ends.method}


def _ends(rows: _Rows, scores: Sequence[float], clusters: Sequence[Hashable] | None) -> Interval | None:
    if clusters is not None:
        return clustered_interval(scores, clusters, unit=rows.unit)
    found = None if rows.binary else intervals.t_interval(scores)
    if not found:
        return intervals.wilson(math.fsum(scores), len(scores)) if rows.unit else None
    return found.within(0.0, 1.0) if found and rows.unit else found


def _gap(
    rows: _Rows, parts: Mapping[str, Sequence[object]], values: Mapping[str, Sequence[float]], gaps: int, clusters: str | None
) -> GroupGap | None:
    """The largest, with the interval that holds all of them at once: each at 1-0.05/gaps (Bonferroni)."""
    apart = {pair: intervals.mean(values[pair[0]]) - intervals.mean(values[pair[1]]) for pair in _pairs(parts)}
    if not apart:
        return None
    pair, difference = max(apart.items(), key=lambda each: abs(each[1]))
    if difference < 0:
        pair, difference = (pair[1], pair[0]), -difference
    one, other = values[pair[0]], values[pair[1]]
    if clusters is None:
        ends = _difference(rows, one, other, _ALPHA / gaps)
    else:
        together = [*(_clusters_of(rows, parts[pair[0]], clusters) or ()), *(_clusters_of(rows, parts[pair[1]], clusters) or ())]
        ends = _clustered_difference(rows, one, other, together, _ALPHA / gaps)
    found = GroupGap(first=pair[0], second=pair[1], difference=difference, looked_at=gaps)
    return found.model_copy(update=_fields(ends)) if ends else found


def _difference(rows: _Rows, one: Sequence[float], other: Sequence[float], alpha: float) -> Interval | None:
    if rows.binary:
        return intervals.newcombe(math.fsum(one), len(one), math.fsum(other), len(other), 1 - alpha)
    found = intervals.welch(one, other, 1 - alpha)
    return found.within(-1.0, 1.0) if found and rows.unit else found


def _clustered_difference(
    rows: _Rows, one: Sequence[float], other: Sequence[float], clusters: Sequence[Hashable], alpha: float
) -> Interval | None:
    """Of two groups' means where rows belong together, also across the groups; None where a group is one cluster."""
    groups = [*["first"] * len(one), *["second"] * len(other)]
    error = of_clustered_means([*one, *other], groups, {"first": 1.0, "second": -1.0}, clusters, 1 - alpha / 2)
    found = plain(intervals.mean(one) - intervals.mean(other), error, "CR2") if error else None
    return found.within(-1.0, 1.0) if found and rows.unit else found
