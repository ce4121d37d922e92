"""Brier score, calibration error, AUC and the reliability diagram of answers with probabilities."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence

from ckgit.analysis.measures.answered import ClassAnswer, ClassAnswers
from ckgit.analysis.measures.classes import FEW_OF_A_CLASS, LEAST, ONE_CLASS
from ckgit.analysis.measures.made import ALIKE, made
from ckgit.analysis.statistics import intervals
from ckgit.analysis.statistics.linearised import Error, below_one, of_clustered_mean, of_clustered_means, of_mean, on_logits
from ckgit.analysis.statistics.t_distribution import t_quantile
from ckgit.experiment.measured.measures import Measure, ReliabilityBin

BINS = 10  # of equal width, by the probability of the likeliest label
LEAST_OF_BRIER = 100
BY_CHANCE = "calibration error by chance"
_BINNED = f"{BINS} bins of equal width, by the probability of the likeliest label; no interval is known to hold"
_FEW = f"fewer than {LEAST_OF_BRIER} rows: no interval is known to hold"


def with_probabilities(answers: ClassAnswers) -> list[ClassAnswer]:
    """The rows of which the log holds probabilities."""
    return [row for row in answers.rows if row.probabilities]


def calibration_measures(rows: Sequence[ClassAnswer], *, clustered: bool = False) -> Iterator[Measure]:
    """Of rows with probabilities, of which there is one at least.

    Args:
        clustered: whether some rows belong together, for which intervals then allow.
    """
    fewest = min(Counter(row.target for row in rows).values())
    yield _brier(rows, clustered=clustered)
    yield from _calibration_error(rows)
    yield _auc(rows, fewest, clustered=clustered)


def _brier(rows: Sequence[ClassAnswer], *, clustered: bool) -> Measure:
    """Half the squared distance of the probabilities from the truth; for two labels (p-y)² (Brier 1950, Mon. Weather Rev. 78:1)."""
    losses = [math.fsum((value - (label == row.target)) ** 2 for label, value in _all(row)) / 2 for row in rows]
    few = _FEW if len(rows) < LEAST_OF_BRIER else ""
    value, error = intervals.mean(losses), of_clustered_mean(losses, [row.cluster for row in rows]) if clustered else of_mean(losses)
    ends = on_logits(value, error, f"{'CR2' if clustered else 't'} on log odds") if error and 0 < value < 1 and not few else None
    return made("Brier score", value, ends, len(rows), few or ("" if ends else ALIKE))


def _all(row: ClassAnswer) -> list[tuple[str, float]]:
    """The probabilities; a target that has none has 0."""
    return list({row.target: 0.0, **row.probabilities}.items())


def reliability(rows: Sequence[ClassAnswer]) -> tuple[ReliabilityBin, ...]:
    """Bins that have rows: how sure the model was of the likeliest label, and how often that was right."""
    found: dict[int, list[tuple[float, bool]]] = {}
    for sure, right in map(_likeliest, rows):
        found.setdefault(min(int(sure * BINS), BINS - 1), []).append((sure, right))
    return tuple(
        ReliabilityBin(
            rows=len(each), sureness=intervals.mean([sure for sure, _ in each]), right=sum(right for _, right in each) / len(each)
        )
        for _, each in sorted(found.items())
    )


def _likeliest(row: ClassAnswer) -> tuple[float, bool]:
    label, sure = max(row.probabilities.items(), key=lambda each: each[1])
    return sure, label == row.target


def _calibration_error(rows: Sequence[ClassAnswer]) -> Iterator[Measure]:
    """Naeini et al. 2015 (AAAI:2901), and what a calibrated model would have, as chance alone makes it larger than 0.

    With such probabilities the sum of right answers in a bin has variance Σp(1-p), and an expected distance from Σp of √(2·variance/π).
    """
    bins = reliability(rows)
    value = math.fsum(each.rows * abs(each.sureness - each.right) for each in bins) / len(rows)
    spread: dict[int, list[float]] = {}
    for sure, _ in map(_likeliest, rows):
        spread.setdefault(min(int(sure * BINS), BINS - 1), []).append(sure * (1 - sure))
    chance = math.fsum(math.sqrt(2 * math.fsum(each) / math.pi) for each in spread.values()) / len(rows)
    yield Measure(name="calibration error", value=value, rows=len(rows), note=_BINNED)
    yield Measure(name=BY_CHANCE, value=chance, rows=len(rows), note="what a calibrated model has on average, with these rows")


def _auc(rows: Sequence[ClassAnswer], fewest: int, *, clustered: bool) -> Measure:
    """How often a row of a class has more probability of it than one of another; the mean over classes (Hanley and McNeil 1982).

    Its standard error is that of DeLong et al. 1988 (Biometrics 44:837), with degrees of freedom by Welch and Satterthwaite.
    """
    classes = sorted({row.target for row in rows})
    if len(classes) == 1:
        return Measure(name="AUC", rows=len(rows), note=ONE_CLASS)
    known = sorted({label for row in rows for label in row.probabilities})
    two = len(classes) == len(known) == 2  # noqa: PLR2004 - then both classes have one AUC
    areas, parts = zip(*(_area(rows, label) for label in (classes[:1] if two else classes)), strict=True)
    value = intervals.mean(areas)
    moves = [intervals.mean(each) for each in zip(*parts, strict=True)]
    error = _clustered_error(rows, moves) if clustered else _error(rows, moves)
    few = FEW_OF_A_CLASS if fewest < LEAST else ""
    method = f"DeLong with {'CR2' if clustered else 't'} on 1/√(1-AUC)"
    ends = below_one(value, error, method).within(0.0, 1.0) if error and value < 1 and not few else None
    return made("AUC", value, ends, len(rows), few or ("" if ends or value == 1 else ALIKE))


def _area(rows: Sequence[ClassAnswer], label: str) -> tuple[float, list[float]]:
    """The area, and of each row how far it moves it: its share of won comparisons less the area, over the share of rows of its kind."""
    values = [row.probabilities.get(label, 0.0) for row in rows]
    own = [row.target == label for row in rows]
    ones, others = (sorted(value for value, mine in zip(values, own, strict=True) if mine is side) for side in (True, False))
    won = [
        _below(value, others) / len(others) if mine else 1 - _below(value, ones) / len(ones)
        for value, mine in zip(values, own, strict=True)
    ]
    area = intervals.mean([each for each, mine in zip(won, own, strict=True) if mine])
    weight = {True: len(rows) / len(ones), False: len(rows) / len(others)}
    return area, [(each - area) * weight[mine] for each, mine in zip(won, own, strict=True)]


def _below(value: float, numbers: Sequence[float]) -> float:
    """How many sorted numbers are smaller; of the same ones half."""
    return (bisect_left(numbers, value) + bisect_right(numbers, value)) / 2


def _clustered_error(rows: Sequence[ClassAnswer], moves: Sequence[float]) -> Error | None:
    """The same where rows belong together, over the means of the classes."""
    shares = {target: count / len(rows) for target, count in Counter(row.target for row in rows).items()}
    return of_clustered_means(moves, [row.target for row in rows], shares, [row.cluster for row in rows])


def _error(rows: Sequence[ClassAnswer], moves: Sequence[float]) -> Error | None:
    """Over the rows of each class apart; None where a class has one row, or none moves the area."""
    by_class: dict[str, list[float]] = {}
    for row, move in zip(rows, moves, strict=True):
        by_class.setdefault(row.target, []).append(move)
    parts = []
    for each in by_class.values():
        middle, count = intervals.mean(each), len(each)
        if count > 1:
            parts.append((math.fsum((move - middle) ** 2 for move in each) * count / (count - 1) / len(rows) ** 2, count - 1))
    variance = math.fsum(part for part, _ in parts)
    if len(parts) < len(by_class) or not variance:
        return None
    df = variance**2 / math.fsum(part**2 / free for part, free in parts)
    return Error(math.sqrt(variance), t_quantile(0.975, df))
