"""A cell's answers as classes or numbers, where its targets and scores say that they are such."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

from ckgit.analysis.scores import as_number
from ckgit.experiment.measured.long_texts import LONGEST
from ckgit.experiment.results import CellResult, Sample

MOST_LABELS = 12
LEAST_ROWS = 5  # of a label on average: where there are fewer, targets are texts rather than classes
_CONTRADICTED = 0.01  # share of rows in which score and answer may disagree
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?<=\d)(?:[eE][-+]?\d+)?")


class ClassAnswer(NamedTuple):
    """A row of one class, and what was answered."""

    target: str
    given: str | None  # None: no label
    probabilities: dict[str, float]
    cluster: Hashable = None  # what the row belongs to, where rows belong together


class ClassAnswers(NamedTuple):
    """All of a cell's."""

    labels: tuple[str, ...]
    rows: Sequence[ClassAnswer]


class NumberAnswer(NamedTuple):
    """A row whose target is a number."""

    target: float
    given: float | None  # None: no number
    cluster: Hashable = None  # see above


def as_classes(cell: CellResult, clusters: Mapping[object, Hashable] = {}) -> ClassAnswers | None:
    """The answers as classes; None where targets are not of a few labels, or answers cannot be compared with them.

    An answer is a label where it equals it, in any case, between spaces; any other that a scorer finds right is its target. Where that
    scorer calls answers wrong that equal their target, or right that equal another, it asks for something else than the label. Where all
    targets are one label, the others are those that were answered, so that it is said what such rows cannot show.

    Args:
        clusters: by id what a row belongs to; empty where each counts for itself.
    """
    targets = [sample.target for sample in cell.samples if sample.target is not None]
    grader = _grader(cell)
    labels = sorted({*targets, *(label for sample in cell.samples for label in sample.probabilities)})
    if len(labels) == 1:
        labels = sorted({*labels, *_wrong_answers(cell, labels[0], grader)})
    one = len(set(targets)) == 1
    few = len(labels) <= MOST_LABELS and len(targets) >= LEAST_ROWS * (len(labels) if one else len(set(targets)))
    if not targets or not few or len(targets) < len(cell.samples) or any(map(_is_no_class, labels)):
        return None
    rows = [_classed(sample, labels, grader)._replace(cluster=clusters.get(sample.id)) for sample in cell.samples]
    graded = [_right(sample, grader) for sample in cell.samples] if grader else []
    against = sum((row.given == row.target) != right for row, right in zip(rows, graded, strict=bool(grader)))
    return ClassAnswers(tuple(labels), rows) if against <= _CONTRADICTED * len(rows) else None


def _wrong_answers(cell: CellResult, label: str, grader: str | None) -> set[str]:
    """What was answered beside the only label."""
    given = {(sample.answer or "").strip() for sample in cell.samples if not (grader and _right(sample, grader))}
    return {text for text in given if text and text.casefold() != label.casefold()}


def _classed(sample: Sample, labels: Sequence[str], grader: str | None) -> ClassAnswer:
    target, text = sample.target or "", (sample.answer or "").strip()
    same = [label for label in labels if label == text] or [label for label in labels if label.casefold() == text.casefold()]
    given = same[0] if len(same) == 1 else target if grader and _right(sample, grader) else None
    return ClassAnswer(target, given, sample.probabilities)


def _is_no_class(label: str) -> bool:
    """Whether it is a list of texts that are right, or a text as long as an essay."""
    return len(label) > LONGEST or (label.startswith("[") and _is_list(label))


def _is_list(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list)
    except ValueError:
        return False


def _grader(cell: CellResult) -> str | None:
    """The first scorer that says right or wrong of every row; None where there is none."""
    names = dict.fromkeys(name for sample in cell.samples for name in sample.scores)
    graders = [name for name in names if all(as_number(sample.scores.get(name)) in (0.0, 1.0) for sample in cell.samples)]
    return graders[0] if graders else None


def _right(sample: Sample, grader: str) -> bool:
    return as_number(sample.scores.get(grader)) == 1.0


def as_numbers(cell: CellResult, clusters: Mapping[object, Hashable] = {}) -> list[NumberAnswer] | None:
    """The answers as numbers; None where a target is none, or where targets are few and nothing but right or wrong is said of answers.

    Args:
        clusters: as of `as_classes`.
    """
    targets = [_whole(sample.target or "") for sample in cell.samples]
    graded = all(number in (0.0, 1.0, None) for sample in cell.samples for number in map(as_number, sample.scores.values()))
    if not targets or None in targets or (graded and len(set(targets)) <= MOST_LABELS):
        return None
    pairs = zip(targets, cell.samples, strict=True)
    return [NumberAnswer(target, number_in(sample.answer or ""), clusters.get(sample.id)) for target, sample in pairs if target is not None]


def number_in(text: str) -> float | None:
    """The first number of a text, commas grouping its thousands; None where it has none."""
    found = _NUMBER.search(text)
    value = float(found[0].replace(",", "")) if found else math.nan
    return value if math.isfinite(value) else None


def _whole(text: str) -> float | None:
    found = _NUMBER.fullmatch(text.strip())
    return number_in(text) if found else None


def answered_once(cell: CellResult) -> bool:
    """Whether no row was answered several times."""
    return all(count == 1 for count in Counter(sample.id for sample in cell.samples).values())
