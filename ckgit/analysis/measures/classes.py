"""Balanced accuracy, F1, precision, recall and the confusion matrix of answers that are classes.

A class counts where it is some row's target. An answer that is no label is wrong, and no class's. Definitions: Sokolova and Lapalme
2009 (Inf. Process. Manag. 45:427); macro F1 is the mean of the classes' F1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from ckgit.analysis.measures.answered import ClassAnswer, ClassAnswers
from ckgit.analysis.measures.made import ALIKE, made
from ckgit.analysis.statistics import intervals
from ckgit.analysis.statistics.intervals import LEVEL, Interval, z_quantile
from ckgit.analysis.statistics.linearised import Error, clustered_interval, of_clustered_mean, of_clustered_means, on_logits
from ckgit.analysis.statistics.t_distribution import t_quantile
from ckgit.experiment.measured.measures import ConfusionTable, Measure

LEAST = 10  # rows of every class: with fewer, intervals do not hold (`python -m bench.coverage`)
LEAST_OF_A_SHARE = 20
FEW = f"fewer than {LEAST_OF_A_SHARE} such rows: no interval is known to hold"
FEW_OF_A_CLASS = f"a class has fewer than {LEAST} rows: no interval is known to hold"
ONE_CLASS = "undefined: all rows have one target"
_SHRUNK = 0.5  # rows that are added to each class, half of them right


def confusion(answers: ClassAnswers) -> ConfusionTable:
    """Counts by target and answer; the last column has answers that are no label."""
    place = {label: number for number, label in enumerate(answers.labels)}
    counts = [[0] * (len(place) + 1) for _ in place]
    for row in answers.rows:
        counts[place[row.target]][place[row.given] if row.given is not None else len(place)] += 1
    return ConfusionTable(labels=answers.labels, counts=tuple(map(tuple, counts)))


def class_measures(found: ConfusionTable, together: Sequence[ClassAnswer] = ()) -> Iterator[Measure]:
    """The measures of a confusion matrix.

    Args:
        together: its rows, where some belong together; then intervals are those of clusters.
    """
    there = [number for number, line in enumerate(found.counts) if sum(line)]
    matrix = [[found.counts[row][column] for column in there] for row in there]
    rest = [sum(found.counts[row]) - sum(line) for row, line in zip(there, matrix, strict=True)]  # answers that are no row's target
    rows = sum(map(sum, found.counts))
    if len(there) > 1:
        fewest = min(sum(line) + other for line, other in zip(matrix, rest, strict=True))
        for name, pair in (("balanced accuracy", _balanced(matrix, rest)), ("macro F1", _macro(matrix, rest))):
            labels = [found.labels[number] for number in there]
            ends = _clustered(name, pair[0], labels, together) if together else _independent(name, pair, rows)
            note = FEW_OF_A_CLASS if fewest < LEAST else "" if ends else ALIKE
            yield made(name, pair[0], None if note else ends, rows, note)
    else:
        yield from (Measure(name=name, rows=rows, note=ONE_CLASS) for name in ("balanced accuracy", "macro F1"))
    for number in there:
        yield from _of_class(found, number, together)


def _of_class(found: ConfusionTable, number: int, together: Sequence[ClassAnswer]) -> Iterator[Measure]:
    label, right = found.labels[number], found.counts[number][number]
    asked, given = sum(found.counts[number]), sum(line[number] for line in found.counts)
    yield _share("precision", label, right, given, [row for row in together if row.given == label])
    yield _share("recall", label, right, asked, [row for row in together if row.target == label])
    yield _f1(label, right, asked + given - right, [row for row in together if label in (row.target, row.given)])


def _share(name: str, label: str, right: int, rows: int, together: Sequence[ClassAnswer]) -> Measure:
    if not rows:
        return Measure(name=name, label=label, rows=0, note="undefined: no answer is this class")
    ends = _of_share(right, rows, together)
    return made(name, right / rows, ends, rows, _why(ends, rows), label=label)


def _f1(label: str, right: int, either: int, together: Sequence[ClassAnswer]) -> Measure:
    """Of the rows with the class as target or answer a share J is right, and F1 = 2J/(1+J), which rises with J: so do its ends."""
    ends = _of_share(right, either, together)
    moved = Interval(_f1_of(ends.low), _f1_of(ends.high), f"{ends.method} of the share right") if ends else None
    return made("F1", _f1_of(right / either), moved, either, _why(ends, either), label=label)


def _of_share(right: int, rows: int, together: Sequence[ClassAnswer]) -> Interval | None:
    if rows < LEAST_OF_A_SHARE:
        return None
    return share_of_rows(together) if together else intervals.wilson(right, rows)


def _why(ends: Interval | None, rows: int) -> str:
    """Why there is no interval; empty where there is one."""
    return "" if ends else FEW if rows < LEAST_OF_A_SHARE else ALIKE


def share_of_rows(together: Sequence[ClassAnswer]) -> Interval | None:
    """Of the share of rows whose answer is their class, where rows belong together."""
    return clustered_interval([float(row.given == row.target) for row in together], [row.cluster for row in together], unit=True)


def _f1_of(share: float) -> float:
    return 2 * share / (1 + share)


_Pair = tuple[float, float, float]  # the number; that of shrunken counts, and its standard error


def _independent(name: str, found: _Pair, rows: int) -> Interval:
    """The delta method on the log odds of shrunken counts, so that there is an interval at 1, too."""
    value, centre, stderr = found
    quantile = z_quantile(LEVEL) if name == "balanced accuracy" else t_quantile(0.975, rows - 1)
    return on_logits(value, Error(stderr, quantile), "delta method on log odds", centre=centre)


def _clustered(name: str, value: float, labels: Sequence[str], together: Sequence[ClassAnswer]) -> Interval | None:
    """The same where rows belong together: balanced accuracy is the mean of the classes' means, macro F1 moves by each row's part in it."""
    clusters = [row.cluster for row in together]
    if name == "balanced accuracy":
        right = [float(row.given == row.target) for row in together]
        error = of_clustered_means(right, [row.target for row in together], dict.fromkeys(labels, 1 / len(labels)), clusters)
    else:
        error = of_clustered_mean(_moves(labels, together), clusters)
    return on_logits(value, error, "CR2 on log odds") if error and 0 < value < 1 else None


def _moves(labels: Sequence[str], together: Sequence[ClassAnswer]) -> list[float]:
    """How far each row moves macro F1, times the rows: of 2A/(T+G) by (2[right] - F1·([target] + [given]))/(T+G)."""
    targets, answers = Counter(row.target for row in together), Counter(row.given for row in together)
    right = Counter(row.target for row in together if row.given == row.target)
    share = {label: len(together) / len(labels) / (targets[label] + answers[label]) for label in labels}
    pull = {label: share[label] * 2 * right[label] / (targets[label] + answers[label]) for label in labels}
    return [
        (2 * share[row.target] if row.given == row.target else 0.0) - pull[row.target] - (pull.get(row.given, 0.0) if row.given else 0.0)
        for row in together
    ]


def _balanced(matrix: Sequence[Sequence[int]], rest: Sequence[int]) -> _Pair:
    """The mean of the classes' recalls (Brodersen et al. 2010, ICPR:3121), which are shares of different rows."""
    sizes = [sum(line) + other for line, other in zip(matrix, rest, strict=True)]
    right = [line[number] for number, line in enumerate(matrix)]
    shrunken = [(count + _SHRUNK / 2) / (size + _SHRUNK) for count, size in zip(right, sizes, strict=True)]
    variance = math.fsum(share * (1 - share) / size for share, size in zip(shrunken, sizes, strict=True))
    value = intervals.mean([count / size for count, size in zip(right, sizes, strict=True)])
    return value, intervals.mean(shrunken), math.sqrt(variance) / len(sizes)


def _macro(matrix: Sequence[Sequence[int]], rest: Sequence[int]) -> _Pair:
    """The delta method for macro F1: Takahashi et al. 2022 (Appl. Intell. 52:4961)."""
    classes = len(matrix)
    wrong = _SHRUNK / 2 / (classes - 1)
    counts = [[count + (_SHRUNK / 2 if row == column else wrong) for column, count in enumerate(line)] for row, line in enumerate(matrix)]
    value = intervals.mean(_f1s(matrix, rest)[0])
    scores, weights = _f1s(counts, rest)
    pull = [score * weight for score, weight in zip(scores, weights, strict=True)]
    squares = [
        count * (((2 * weights[row]) if row == column else 0.0) - pull[row] - pull[column]) ** 2
        for row, line in enumerate(counts)
        for column, count in enumerate(line)
    ]
    squares += [count * pull[row] ** 2 for row, count in enumerate(rest)]
    rows = math.fsum(map(math.fsum, counts)) + sum(rest)
    return value, intervals.mean(scores), math.sqrt(math.fsum(squares) * rows / (rows - 1)) / classes


def _f1s(counts: Sequence[Sequence[float]], rest: Sequence[float]) -> tuple[list[float], list[float]]:
    """Each class's F1, and one over the sum of its targets and answers."""
    weights = [1 / (math.fsum(line) + rest[number] + math.fsum(row[number] for row in counts)) for number, line in enumerate(counts)]
    return [2 * line[number] * weights[number] for number, line in enumerate(counts)], weights
