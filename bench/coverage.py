"""`python -m bench.coverage [EXPERIMENTS]`: how often the 95 % intervals of measures hold what they are about.

Draws experiments of 30, 100, 300 and 1,000 rows of known models, 2,000 of each kind where no number is given, and asks the functions
that a report asks. A line has the measure, the kind, the rows, the share of intervals that hold the truth, and the share of
experiments in which one was given. Takes half an hour; the tests do a small part.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ckgit.analysis.measures.answered import ClassAnswer, NumberAnswer
from ckgit.analysis.measures.calibration import calibration_measures
from ckgit.analysis.measures.classes import class_measures
from ckgit.analysis.measures.numbers import number_measures
from ckgit.analysis.statistics.linearised import clustered_interval, of_clustered_means, plain
from ckgit.experiment.measured.measures import ConfusionTable, Measure

SIZES = (30, 100, 300, 1000)
EXPERIMENTS = 2000
_LABELS = ("a", "b", "c", "d", "e")
_MANY = 2_000_000  # draws from which a truth is taken that no formula gives
_Truth = Mapping[str, float]


class Kind(NamedTuple):
    """A kind of experiment: how one of so many rows is drawn and measured, and what is true of each measure."""

    name: str
    measure: Callable[[np.random.Generator, int], Iterator[Measure]]
    truth: _Truth


class Covered(NamedTuple):
    """What became of the intervals of one measure."""

    measure: str
    kind: str
    rows: int
    covers: float  # per cent of those that were given; NaN without any
    given: float  # per cent


def classes(name: str, shares: Sequence[float], recalls: Sequence[float]) -> Kind:
    """Rows of classes with these shares, found with these recalls; wrong answers spread over the other classes."""
    count = len(shares)
    matrix = np.array([[share * (1 - recall) / (count - 1)] * count for share, recall in zip(shares, recalls, strict=True)])
    np.fill_diagonal(matrix, np.multiply(shares, recalls))
    right, targets, answers = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    last = count - 1
    truth = {
        "balanced accuracy": float(np.mean(recalls)),
        "macro F1": float(np.mean(2 * right / (targets + answers))),
        f"recall {_LABELS[last]}": float(recalls[last]),
        f"precision {_LABELS[last]}": float(right[last] / answers[last]),
        f"F1 {_LABELS[last]}": float(2 * right[last] / (targets[last] + answers[last])),
    }

    def measure(chance: np.random.Generator, rows: int) -> Iterator[Measure]:
        counts = chance.multinomial(rows, matrix.ravel()).reshape(count, count).tolist()
        return class_measures(ConfusionTable(labels=_LABELS[:count], counts=tuple((*line, 0) for line in counts)))

    return Kind(name, measure, truth)


def numbers(name: str, draw: Callable[[np.random.Generator, int], Any]) -> Kind:
    """Targets of variance 1 and answers with errors that `draw` gives."""
    truth = {"MAE": float(np.mean(np.abs(draw(np.random.default_rng(7), _MANY))))}

    def measure(chance: np.random.Generator, rows: int) -> Iterator[Measure]:
        targets, errors = chance.normal(size=rows), draw(chance, rows)
        return number_measures([NumberAnswer(*each) for each in zip(targets.tolist(), (targets + errors).tolist(), strict=True)])

    return Kind(name, measure, truth)


def sure(name: str, middle: float, spread: float, honest: float) -> Kind:
    """Two labels whose log odds the model puts normally around `middle`; they truly are `honest` times as far from even."""

    def draw(chance: np.random.Generator, rows: int) -> tuple[Any, Any]:
        odds = chance.normal(middle, spread, rows)
        return 1 / (1 + np.exp(-odds)), chance.random(rows) < 1 / (1 + np.exp(-honest * odds))

    said, is_so = draw(np.random.default_rng(7), _MANY)
    truth = {"Brier score": float(np.mean((said - is_so) ** 2)), "AUC": _area(said, is_so)}

    def measure(chance: np.random.Generator, rows: int) -> Iterator[Measure]:
        each = zip(*(values.tolist() for values in draw(chance, rows)), strict=True)
        return calibration_measures([ClassAnswer("ab"[it], None, {"a": 1 - p, "b": p}) for p, it in each])

    return Kind(name, measure, truth)


def together(name: str, clusters: int, right: float, spread: float) -> Kind:
    """Right and wrong answers of persons with so many rows each, whose own shares differ by `spread` on the scale of log odds."""
    own = right and math.log(right / (1 - right)) + spread * np.random.default_rng(7).normal(size=_MANY)
    truth = {"mean": float(np.mean(1 / (1 + np.exp(-own))))}

    def measure(chance: np.random.Generator, rows: int) -> Iterator[Measure]:
        person = chance.permutation(np.arange(rows) % clusters)
        odds = math.log(right / (1 - right)) + spread * chance.normal(size=clusters)
        scores = (chance.random(rows) < 1 / (1 + np.exp(-odds[person]))).astype(float).tolist()
        ends = clustered_interval(scores, person.tolist(), unit=True)
        yield Measure(name="mean", value=sum(scores) / rows, rows=rows, low=ends and ends.low, high=ends and ends.high)

    return Kind(name, measure, truth)


def classes_together(name: str, clusters: int, second: int, recalls: tuple[float, float], spread: float) -> Kind:
    """Rows of persons with two classes, and the gap of their scores.

    Args:
        second: persons all of whose rows have the second class; 0 where each person has rows of both.
        spread: of the persons' own log odds of a right answer.
    """
    odds = [math.log(recall / (1 - recall)) for recall in recalls]
    own = spread * np.random.default_rng(7).normal(size=_MANY)
    first, other = (float(np.mean(1 / (1 + np.exp(-(each + own))))) for each in odds)
    share = second / clusters or 0.5
    right, targets = np.array([(1 - share) * first, share * other]), np.array([1 - share, share])
    answers = right + (targets - right)[::-1]
    f1 = 2 * right / (targets + answers)
    truth = {"balanced accuracy": (first + other) / 2, "macro F1": float(np.mean(f1)), "recall b": other, "F1 b": float(f1[1])}

    def measure(chance: np.random.Generator, rows: int) -> Iterator[Measure]:
        person: Any = np.arange(rows) % clusters
        target = (person < second).astype(int) if second else chance.integers(2, size=rows)
        drawn = np.array(odds)[target] + (spread * chance.normal(size=clusters))[person]
        given = np.where(chance.random(rows) < 1 / (1 + np.exp(-drawn)), target, 1 - target)
        counts: Any = np.zeros((2, 3), int)
        np.add.at(counts, (target, given), 1)
        table = ConfusionTable(labels=("a", "b"), counts=tuple(map(tuple, counts.tolist())))
        answered = [ClassAnswer("ab"[t], "ab"[g], {}, p) for t, g, p in zip(target.tolist(), given.tolist(), person.tolist(), strict=True)]
        yield from class_measures(table, answered)
        yield _gap((target == given).astype(float), target, person)

    return Kind(name, measure, {**truth, "gap": other - first})


def _gap(scores: Any, group: Any, person: Any) -> Measure:
    error = of_clustered_means(scores.tolist(), group.tolist(), {0: -1.0, 1: 1.0}, person.tolist())
    value = float(scores[group == 1].mean() - scores[group == 0].mean())
    ends = plain(value, error, "CR2") if error else None
    return Measure(name="gap", value=value, rows=len(scores), low=ends and ends.low, high=ends and ends.high)


def numbers_together(name: str, clusters: int, spread: float) -> Kind:
    """Answers whose errors have a part of the person's own, of so much spread beside that of each answer, which is 1."""

    def draw(chance: np.random.Generator, rows: int, count: int) -> tuple[Any, Any]:
        person: Any = np.arange(rows) % count
        return chance.normal(size=rows) + (spread * chance.normal(size=count))[person], person

    def measure(chance: np.random.Generator, rows: int) -> Iterator[Measure]:
        errors, person = draw(chance, rows, clusters)
        made = [NumberAnswer(0.0, error, one) for error, one in zip(errors.tolist(), person.tolist(), strict=True)]
        return number_measures(made, clustered=True)

    return Kind(name, measure, {"MAE": float(np.mean(np.abs(draw(np.random.default_rng(7), _MANY, _MANY)[0])))})


def sure_together(name: str, clusters: int) -> Kind:
    """Two labels; how sure the model is, and how often that is right, is in part the person's own."""

    def draw(chance: np.random.Generator, rows: int, count: int) -> tuple[Any, Any, Any]:
        person: Any = np.arange(rows) % count
        own, other = chance.normal(size=(2, count))
        odds = 1.5 * chance.normal(size=rows) + own[person]
        return 1 / (1 + np.exp(-odds)), chance.random(rows) < 1 / (1 + np.exp(-0.7 * (odds + other[person]))), person

    said, is_so, _ = draw(np.random.default_rng(7), _MANY, _MANY)

    def measure(chance: np.random.Generator, rows: int) -> Iterator[Measure]:
        each = zip(*(values.tolist() for values in draw(chance, rows, clusters)), strict=True)
        return calibration_measures([ClassAnswer("ab"[it], None, {"a": 1 - p, "b": p}, one) for p, it, one in each], clustered=True)

    return Kind(name, measure, {"Brier score": float(np.mean((said - is_so) ** 2)), "AUC": _area(said, is_so)})


def _area(said: Any, is_so: Any) -> float:
    ranks = np.empty(len(said))
    ranks[np.argsort(said)] = np.arange(1, len(said) + 1)
    ones = int(is_so.sum())
    return float(ranks[is_so].sum() - ones * (ones + 1) / 2) / ones / (len(said) - ones)


def kinds() -> Iterator[Kind]:
    """All of them."""
    third = 1 / 3
    yield classes("2 classes, 0.6", (0.5, 0.5), (0.6, 0.6))
    yield classes("2 classes, 0.8", (0.5, 0.5), (0.8, 0.8))
    yield classes("2 classes, 0.97", (0.5, 0.5), (0.97, 0.97))
    yield classes("2 of 80:20, 0.9 and 0.6", (0.8, 0.2), (0.9, 0.6))
    yield classes("2 of 90:10, 0.95 and 0.5", (0.9, 0.1), (0.95, 0.5))
    yield classes("3 classes, 0.7", (third, third, third), (0.7, 0.7, 0.7))
    yield classes("4 of 60:20:10:10, 0.9 to 0.4", (0.6, 0.2, 0.1, 0.1), (0.9, 0.7, 0.5, 0.4))
    yield classes("5 classes, 0.9", (0.2,) * 5, (0.9,) * 5)
    yield numbers("normal errors", lambda chance, rows: chance.normal(size=rows))
    yield numbers("Laplace errors", lambda chance, rows: chance.laplace(size=rows))
    yield numbers("half exact", lambda chance, rows: chance.normal(size=rows) * (chance.random(rows) < 0.5))  # noqa: PLR2004 - half
    yield numbers("t errors, 5 df", lambda chance, rows: chance.standard_t(5, rows))
    yield numbers("t errors, 3 df", lambda chance, rows: chance.standard_t(3, rows))
    yield numbers("lognormal errors", lambda chance, rows: chance.lognormal(size=rows))
    yield sure("even labels", 0, 1, 1)
    yield sure("even labels, sure", 0, 4, 1)
    yield sure("even labels, too sure", 0, 4, 0.4)
    yield sure("one label of ten, sure", -4, 2.5, 1)
    yield sure("one label of twenty", -3, 1, 1)
    yield together("6 persons", 6, 0.7, 1)
    yield together("20 persons", 20, 0.7, 1)
    yield together("20 persons, 0.9", 20, 0.9, 1)
    yield classes_together("6 persons, both classes", 6, 0, (0.9, 0.6), 1)
    yield classes_together("20 persons, both classes", 20, 0, (0.8, 0.7), 1)
    yield classes_together("20 persons, 5 of the second", 20, 5, (0.8, 0.7), 1)
    yield numbers_together("20 persons, numbers", 20, 0.5)
    yield sure_together("20 persons, probabilities", 20)


def covered(kind: Kind, rows: int, experiments: int, seed: int = 1) -> list[Covered]:
    """How often each measure's interval holds the truth, over so many experiments."""
    chance = np.random.default_rng(seed)
    held, given = dict.fromkeys(kind.truth, 0), dict.fromkeys(kind.truth, 0)
    for _ in range(experiments):
        for each in kind.measure(chance, rows):
            name = f"{each.name} {each.label}" if each.label else each.name
            if name in kind.truth and each.low is not None and each.high is not None:
                given[name] += 1
                held[name] += each.low <= kind.truth[name] <= each.high
    share = {name: 100 * held[name] / count if count else math.nan for name, count in given.items()}
    return [Covered(name, kind.name, rows, share[name], 100 * count / experiments) for name, count in given.items()]


def main() -> None:
    """Print a line for each measure, kind and size."""
    experiments = int(sys.argv[1]) if len(sys.argv) > 1 else EXPERIMENTS
    print(f"{'measure':<20} {'kind':<30} {'rows':>5} {'covers %':>9} {'given %':>8}   ({experiments} experiments each)")
    for kind in kinds():
        for rows in SIZES:
            for each in covered(kind, rows, experiments):
                print(f"{each.measure:<20} {each.kind:<30} {rows:>5} {each.covers:>9.1f} {each.given:>8.0f}", flush=True)


if __name__ == "__main__":
    main()
