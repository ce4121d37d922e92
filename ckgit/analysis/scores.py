"""The numbers behind a cell's metrics: scores of rows by id, how many there are of those asked, and the interval of their mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from ckgit.analysis.statistics import intervals
from ckgit.analysis.statistics.intervals import Interval
from ckgit.analysis.statistics.linearised import clustered_interval
from ckgit.experiment.measured.answers import Score
from ckgit.experiment.results import CellResult, Metric, Sample

# inspect-ai's own value_to_float: correct, partially correct, incorrect, no answer.
_LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_ROUNDING = 1e-9
_MEANS = ("accuracy", "mean")  # metrics that are means by their name; another one may equal the mean of its rows by chance
_SHARES = ("exact", "f1")  # scorers of inspect-ai whose numbers lie between 0 and 1
WORST_CASE = "missing scores at worst and at best"


class ScoredCount(NamedTuple):
    """Of how many answers there is a score."""

    scored: int
    asked: int

    @property
    def whole(self) -> bool:
        """Whether every answer has a score."""
        return self.scored >= self.asked

    def __str__(self) -> str:
        return f"{self.scored:,} of {self.asked:,} scored"


class SampleScores(NamedTuple):
    """A scorer's numbers by sample id, several where an id was answered several times; None where one is missing."""

    by_id: Mapping[object, tuple[float | None, ...]]

    @property
    def whole(self) -> bool:
        """Whether every answer has a score."""
        return all(None not in each for each in self.by_id.values())

    @property
    def numbers(self) -> set[float]:
        """The scores that are known."""
        return {number for each in self.by_id.values() for number in each if number is not None}

    @property
    def binary(self) -> bool:
        """Whether each id was answered once, and each score is 0 or 1."""
        return self.numbers <= {0.0, 1.0} and all(len(each) == 1 for each in self.by_id.values())

    def scored(self) -> dict[object, float]:
        """The mean score of each id that has one."""
        known = {key: [number for number in each if number is not None] for key, each in self.by_id.items()}
        return {key: intervals.mean(numbers) for key, numbers in known.items() if numbers}

    def filled(self, missing: float) -> dict[object, float]:
        """The mean score of each id, with a number in place of every score that is missing."""
        return {key: intervals.mean([missing if number is None else number for number in each]) for key, each in self.by_id.items()}


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


def score_of(sample: Sample, scorer: str) -> Score:
    """What a scorer says of a row; one that gives several values has them as SCORER.KEY, where its metrics are listed under KEY."""
    if scorer in sample.scores:
        return sample.scores[scorer]
    parts = [score for name, score in sample.scores.items() if name.endswith(f".{scorer}")]
    return parts[0] if len(parts) == 1 else None


def _is_missing(score: Score) -> bool:
    return score is None or (isinstance(score, float) and not math.isfinite(score))


def scored_count(cell: CellResult, metric: Metric) -> ScoredCount:
    """Of how many of a cell's answers a metric's scorer gave a score."""
    scored = sum(not _is_missing(score_of(sample, metric.scorer)) for sample in cell.samples)
    if scored:
        return ScoredCount(scored, max(len(cell.samples), metric.asked or 0))
    # this scorer's scores are not listed by sample, or there are none at all
    asked = metric.asked if metric.asked is not None else max(metric.samples, len({sample.id for sample in cell.samples}))
    return ScoredCount(min(metric.samples, asked), asked)


def mean_scores(cell: CellResult, metric: Metric) -> SampleScores | None:
    """The answers that a metric is the mean of; None when it is something else, or cannot be told."""
    collected: dict[object, tuple[float | None, ...]] = {}
    for sample in cell.samples:
        score = score_of(sample, metric.scorer)
        number = as_number(score)
        if number is None and not _is_missing(score):
            return None
        collected[sample.id] = (*collected.get(sample.id, ()), number)
    answers = SampleScores(collected)
    scored = answers.scored()
    if metric.value is None or not scored or (metric.asked or 0) > len(cell.samples):
        return None
    found = intervals.mean(list(scored.values()))
    return answers if math.isclose(found, metric.value, rel_tol=_ROUNDING, abs_tol=_ROUNDING) else None


def means(cells: Sequence[CellResult]) -> frozenset[tuple[str, str]]:
    """Scorer and name of each metric that may be taken for the mean of its rows' scores.

    That is so by its name, or because it is one in each of several cells. A single cell does not tell: an AUC of 0.5 equals the
    accuracy of a model that always answers the same.

    Args:
        cells: of one task.
    """
    listed: dict[tuple[str, str], list[tuple[CellResult, Metric]]] = {}
    for cell in cells:
        for metric in cell.metrics:
            listed.setdefault((metric.scorer, metric.name), []).append((cell, metric))
    return frozenset(key for key, found in listed.items() if key[1] in _MEANS or _all_means(found))


def _all_means(found: Sequence[tuple[CellResult, Metric]]) -> bool:
    defined = [(cell, metric) for cell, metric in found if metric.value is not None]
    return len(defined) > 1 and all(mean_scores(cell, metric) for cell, metric in defined)


def on_unit_scale(metric: Metric, *sides: SampleScores) -> bool:
    """Whether a score is known to lie between 0 and 1: an accuracy, a share, or a score that is 0 or 1 wherever it is known."""
    numbers = {number for side in sides for number in side.numbers}
    if any(not 0 <= number <= 1 for number in numbers) or (metric.value is not None and not 0 <= metric.value <= 1):
        return False
    return metric.name == "accuracy" or metric.scorer in _SHARES or (bool(numbers) and numbers <= {0.0, 1.0})


def with_intervals(cell: CellResult, known: Container[tuple[str, str]], clusters: str | None = None) -> CellResult:
    """The cell with how many rows each metric was asked for, and its 95 % interval over rows where there is one.

    Args:
        known: the metrics that are `means`.
        clusters: the metadata column whose rows belong together, where the task names one.
    """
    metrics = [_with_interval(metric, cell, clusters, mean=(metric.scorer, metric.name) in known) for metric in cell.metrics]
    return cell.model_copy(update={"metrics": tuple(metrics)})


def _with_interval(metric: Metric, cell: CellResult, clusters: str | None, *, mean: bool) -> Metric:
    counted = scored_count(cell, metric)
    found = _clustered(metric, cell, clusters, mean=mean) if clusters else _interval(metric, cell, counted, mean=mean)
    ends = {"low": found.low, "high": found.high, "interval": found.method} if found else {}
    rows = metric.samples if counted.whole else max(metric.samples, len({sample.id for sample in cell.samples}))
    return metric.model_copy(update={"asked": rows if metric.asked is None else metric.asked, **ends})


def _interval(metric: Metric, cell: CellResult, counted: ScoredCount, *, mean: bool) -> Interval | None:
    if metric.value is None:
        return None
    answers = mean_scores(cell, metric) if mean else None
    if answers:
        return _of_answers(answers, unit=on_unit_scale(metric, answers))
    found = intervals.normal(metric.value, metric.stderr) if counted.whole else None
    return found.within(0.0, 1.0) if found and on_unit_scale(metric) else found


def _clustered(metric: Metric, cell: CellResult, clusters: str, *, mean: bool) -> Interval | None:
    """Of the mean of rows that belong together; none of another number, as an evaluator's standard error takes each row by itself."""
    answers, groups = mean_scores(cell, metric) if mean else None, clusters_of(cell, clusters)
    if not answers:
        return None
    unit = on_unit_scale(metric, answers)

    def of(scores: Mapping[object, float]) -> Interval | None:
        return clustered_interval(list(scores.values()), [groups[key] for key in scores], unit=unit)

    if answers.whole:
        return of(answers.scored())
    return bounds(of(answers.filled(0.0)), of(answers.filled(1.0))) if unit else None


def clusters_of(cell: CellResult, column: str) -> dict[object, tuple[str, Score]]:
    """What each row belongs to, by its id: the column's value, or where it has none the row alone."""
    values = {sample.id: sample.metadata.get(column) for sample in cell.samples}
    return {key: ("row", str(key)) if value is None else ("cluster", value) for key, value in values.items()}


def _of_answers(answers: SampleScores, *, unit: bool) -> Interval | None:
    def of(values: Mapping[object, float]) -> Interval | None:
        return _of_mean(list(values.values()), binary=answers.binary, unit=unit)

    if answers.whole:
        return of(answers.scored())
    return bounds(of(answers.filled(0.0)), of(answers.filled(1.0))) if unit else None


def _of_mean(values: Sequence[float], *, binary: bool, unit: bool) -> Interval | None:
    found = None if binary else intervals.t_interval(values)
    if found:
        return found.within(0.0, 1.0) if unit else found
    return intervals.wilson(math.fsum(values), len(values)) if unit else None


def bounds(worst: Interval | None, best: Interval | None) -> Interval | None:
    """What holds whatever the missing scores are: the outer ends of both cases (Horowitz and Manski 2000, J. Am. Stat. Assoc. 95:77)."""
    if not worst or not best:
        return None
    methods = " and ".join(dict.fromkeys([worst.method, best.method]))
    return Interval(worst.low, best.high, f"{methods}, {WORST_CASE}")


def difference(left: SampleScores, right: SampleScores, *, paired: bool, unit: bool, level: float = intervals.LEVEL) -> Interval | None:
    """The interval of left minus right; None where their scores do not tell one.

    Args:
        paired: whether both answered the same rows.
        unit: whether every score, the missing ones too, lies between 0 and 1.
        level: coverage of the interval.
    """
    compare: Callable[..., Interval | None] = partial(_paired if paired else _unpaired, level=level)
    binary = left.binary and right.binary
    if left.whole and right.whole:
        return compare(left.scored(), right.scored(), binary=binary, unit=unit)
    if not unit:
        return None
    worst = compare(left.filled(0.0), right.filled(1.0), binary=binary, unit=unit)
    return bounds(worst, compare(left.filled(1.0), right.filled(0.0), binary=binary, unit=unit))


def _paired(left: Mapping[object, float], right: Mapping[object, float], *, binary: bool, unit: bool, level: float) -> Interval | None:
    differences = [left[key] - right[key] for key in left]
    found = None if binary else intervals.t_interval(differences, "paired t", level)
    if found:
        return found.within(-1.0, 1.0) if unit else found
    return intervals.bonett_price(differences, level) if unit else None


def _unpaired(left: Mapping[object, float], right: Mapping[object, float], *, binary: bool, unit: bool, level: float) -> Interval | None:
    one, other = list(left.values()), list(right.values())
    found = None if binary else intervals.welch(one, other, level)
    if found:
        return found.within(-1.0, 1.0) if unit else found
    return intervals.newcombe(math.fsum(one), len(one), math.fsum(other), len(other), level) if unit else None
