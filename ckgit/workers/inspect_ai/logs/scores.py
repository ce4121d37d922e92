"""Metrics and samples of a log that counts: what has no score is counted, and is never taken for 0."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ckgit.experiment.measured.answers import Score
from ckgit.experiment.results import Metric, Sample
from ckgit.formats.rows.metadata import metadata_of

GRADES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}  # inspect's letters: correct, incorrect, partial, no answer
MOST_LABELS = 100  # of which probabilities are kept
_STDERR = ("stderr", "bootstrap_stderr")


def metrics_of(scores: Sequence[Any], samples: Sequence[Any]) -> Iterator[Metric]:
    """Each number of each scorer, with how many samples have a score by that one, and how many were asked.

    inspect leaves samples without a score out of its numbers, but counts only those whose score is NaN, and not those to which the
    scorer gave none. So they are counted here, for each value of a scorer that gives several.

    Args:
        scores: `results.scores` of the log.
        samples: all of it. An id that was asked several times is one sample.
    """
    parts = _parts(scores, samples)
    asked = len({sample.id for sample in samples})
    for score in scores:
        key = score.name if score.name in parts[score.scorer] else None
        values = {(sample.id, sample.epoch): value_of(sample, score.scorer, key) for sample in samples}
        scored = len({id_ for (id_, _), value in values.items() if _is_score(value)})
        # a reducer may want more answers to a sample than have a score
        count = scored if score.scored_samples is None else min(scored, score.scored_samples)
        known = count > 0 and not any(map(_counted_as_zero, values.values()))
        for metric in _numbers(score, known=known):
            yield metric.model_copy(update={"samples": count, "asked": asked})


def samples_of(scores: Sequence[Any], samples: Sequence[Any]) -> Iterator[Sample]:
    """Each answer with its scores by SCORER, or by SCORER.KEY where it gives several values; None where there is no score."""
    places = [(scorer, key) for scorer, keys in _parts(scores, samples).items() for key in keys or [None]]
    names = {scorer if key is None else f"{scorer}.{key}": (scorer, key) for scorer, key in places}
    for sample in samples:
        answer = next((score.answer for score in _scores(sample).values() if score.answer is not None), None)
        target = sample.target if isinstance(sample.target, str) else json.dumps(list(sample.target))
        graded = {name: _grade(value_of(sample, *place)) for name, place in names.items()}
        known, sure = metadata_of(sample.metadata or {}), _probabilities(sample)
        yield Sample(id=sample.id, epoch=sample.epoch, scores=graded, answer=answer, target=target, metadata=known, probabilities=sure)


def _probabilities(sample: Any) -> dict[str, float]:
    """Of the first scorer that has them in its metadata; labels in order of the alphabet."""
    for score in _scores(sample).values():
        found = (score.metadata or {}).get("probabilities")
        if isinstance(found, Mapping) and 1 < len(found) <= MOST_LABELS and all(map(_is_probability, found.values())):
            return {str(label): float(found[label]) for label in sorted(found, key=str)}
    return {}


def _is_probability(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _numbers(score: Any, *, known: bool) -> Iterator[Metric]:
    errors = [_finite(score.metrics[name].value) for name in _STDERR if name in score.metrics]
    for name, metric in score.metrics.items():
        if name in _STDERR:
            continue
        value = _finite(metric.value) if known else None
        plain = Metric(scorer=score.name, name=name, value=value, samples=0)
        has_error = value is not None and name in ("accuracy", "mean") and errors and errors[0] is not None
        yield plain.model_copy(update={"stderr": errors[0], "stderr_from": "tool"}) if has_error else plain


def _parts(scores: Sequence[Any], samples: Sequence[Any]) -> dict[str, dict[str, None]]:
    """Every scorer, with the keys of its values where it gives several; also one that gave no sample a score."""
    found: dict[str, dict[str, None]] = {}
    for sample in samples:
        for scorer, score in _scores(sample).items():
            found.setdefault(scorer, {}).update(dict.fromkeys(score.value) if isinstance(score.value, Mapping) else {})
    for score in scores:
        found.setdefault(score.scorer, {})
    return found


def _scores(sample: Any) -> Mapping[str, Any]:
    return sample.scores or {}


def value_of(sample: Any, scorer: str, key: str | None) -> Any:
    """What a scorer, or one of its values, says of a sample; NaN where it says nothing."""
    value = _scores(sample)[scorer].value if scorer in _scores(sample) else math.nan
    return value.get(key, math.nan) if key is not None and isinstance(value, Mapping) else value


def _is_score(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_is_score, value.values()))
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def _counted_as_zero(value: Any) -> bool:
    """Whether inspect takes it for 0 in every metric, though it is no score: null among the values of a scorer that gives several."""
    return value is None or (isinstance(value, Mapping) and None in value.values())


def _grade(value: Any) -> Score:
    if not _is_score(value):
        return None
    if isinstance(value, str):
        return GRADES.get(value, value)
    return value if isinstance(value, bool | int | float) else json.dumps(value)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
