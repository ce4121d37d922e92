"""The numbers behind a cell's metrics: scores of samples by id, and whether a metric is their mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from ckgit.analysis import statistics
from ckgit.experiment.results import CellResult, Metric, Sample, Score

# inspect-ai's own value_to_float: correct, partially correct, incorrect, no answer.
_LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_ROUNDING = 1e-9


def as_number(score: Score) -> float | None:
    """A score as a number, or None when it is none."""
    if isinstance(score, str):
        if score in _LETTERS:
            return _LETTERS[score]
        if score.lower() in _WORDS:
            return _WORDS[score.lower()]
        return _finite(score)
    return None if score is None or not math.isfinite(score) else float(score)


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def by_id(cell: CellResult, scorer: str) -> Mapping[object, float] | None:
    """Score by sample id, the mean where an id was answered several times; None when a sample has no number."""
    collected: dict[object, list[float]] = {}
    for sample in cell.samples:
        number = as_number(_score(sample, scorer))
        if number is None:
            return None
        collected.setdefault(sample.id, []).append(number)
    return {key: statistics.mean(values).value for key, values in collected.items()} or None


def _score(sample: Sample, scorer: str) -> Score:
    """A scorer that gives several values has them as SCORER.KEY, where its metrics are listed under KEY."""
    if scorer in sample.scores:
        return sample.scores[scorer]
    parts = [score for name, score in sample.scores.items() if name.endswith(f".{scorer}")]
    return parts[0] if len(parts) == 1 else None


def mean_scores(cell: CellResult, metric: Metric) -> Mapping[object, float] | None:
    """The scores by id that a metric is the mean of; None when it is something else, or cannot be told."""
    scores = by_id(cell, metric.scorer)
    if scores is None or metric.value is None:
        return None
    found = statistics.mean(list(scores.values())).value
    return scores if math.isclose(found, metric.value, rel_tol=_ROUNDING, abs_tol=_ROUNDING) else None


def with_stderr(cell: CellResult, metric: Metric) -> Metric:
    """The metric with its standard error: the evaluator's own, or that of the mean where it is one, or none."""
    if metric.stderr is not None:
        return _sourced(metric, metric.stderr, "tool")
    scores = mean_scores(cell, metric)
    stderr = statistics.mean(list(scores.values())).stderr if scores else None
    return metric if stderr is None else _sourced(metric, stderr, "samples")


def _sourced(metric: Metric, stderr: float, source: Literal["tool", "samples"]) -> Metric:
    return metric.model_copy(update={"stderr": stderr, "stderr_from": source})
