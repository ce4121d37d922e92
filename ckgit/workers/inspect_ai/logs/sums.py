"""Means and their standard errors as a plain sum over samples gives them: without inspect, which computed those of the log."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ckgit.workers.inspect_ai.logs.scores import GRADES, value_of

OWN = "inspect_ai/"  # begins the names of what inspect brings
_WORDS = {**GRADES, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}  # what inspect takes these scores for


def sums(header: Any, samples: Sequence[Any], kept: Sequence[Any]) -> dict[tuple[str, str, str], float]:
    """Means and their standard errors, by scorer, value and metric, where the log reduces by the mean and scores are single values."""
    if header.eval.config.epochs_reducer not in (None, ["mean"]):
        return {}
    found: dict[tuple[str, str, str], float] = {}
    for score in header.results.scores:
        plain = {name for each in kept if each.name == score.scorer for name in _plain(each.metrics)}
        values = _means(samples, score.scorer, score.name if score.name != score.scorer else None)
        if not values:
            continue
        mean = math.fsum(values) / len(values)
        squares = math.fsum((value - mean) ** 2 for value in values)
        error = math.sqrt(squares / (len(values) - 1) / len(values)) if len(values) > 1 else 0.0
        for name, value in (("accuracy", mean), ("mean", mean), ("stderr", error)):
            if name in plain:
                found[score.scorer, score.name, name] = value
    return found


def _plain(metrics: Any) -> Iterator[str]:
    """Names of inspect's metrics that were given nothing."""
    for each in metrics.values() if isinstance(metrics, Mapping) else [metrics]:
        for metric in each:
            if isinstance(metric, Mapping):
                yield from _plain(metric)
            elif not metric.options:
                yield metric.name.removeprefix(OWN)


def _means(samples: Sequence[Any], scorer: str, key: str | None) -> list[float]:
    """The mean score of each sample id that has one; none where a score is no finite number, and no word."""
    by_id: dict[str, list[float]] = {}
    for sample in samples:
        value = value_of(sample, scorer, key)
        if isinstance(value, Mapping | list) or value in (math.inf, -math.inf):
            return []
        if not (isinstance(value, float) and math.isnan(value)):
            by_id.setdefault(str(sample.id), []).append(_as_number(value))
    return [math.fsum(values) / len(values) for values in by_id.values()]


def _as_number(value: Any) -> float:
    """What inspect's metrics take a score for."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            number = _WORDS[word] if (word := value if value in _WORDS else value.lower()) in _WORDS else float(value)
            return number if math.isfinite(number) else 0.0
        return 0.0
    return float(value) if value is not None else 0.0
