"""Rows that are worth reading: where runs differ, which all get right, which all get wrong. Chosen by scores alone, never at random."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import pvariance
from typing import NamedTuple

from ckgit.analysis.comparing.main_metric import last_of
from ckgit.analysis.scores import as_number, score_of
from ckgit.experiment.measured.compared import ReadRow, RowAnswer, RowKind
from ckgit.experiment.results import CellResult, RowText, RunRow, Sample

_DIFFERENT, _ALIKE = 3, 2  # rows of a task where runs differ, and of either end
_CONFIDENT = 3  # errors of a task that were made with most confidence
_SURE = 0.5  # the least probability that is called confidence

_Key = tuple[int | str, str | None]  # id and target: runs may have answered other rows of the same numbers


class _Asked(NamedTuple):
    """A row with what runs made of it."""

    key: _Key
    input: str
    answers: Sequence[RowAnswer]
    numbers: Sequence[float]

    @property
    def mean(self) -> float:
        return sum(self.numbers) / len(self.numbers)


def worth_reading(runs: Sequence[RunRow]) -> tuple[ReadRow, ...]:
    """A few rows of each task with the answers of each run's last evaluated checkpoint; none where no texts were kept.

    Of rows that are as fit the first are taken, in the order in which they were asked.
    """
    tasks = dict.fromkeys(cell.task for run in runs for cell in run.cells)
    return tuple(row for task in tasks for row in _of_task(task, last_of(runs, task)))


def _of_task(task: str, cells: Sequence[CellResult]) -> Iterator[ReadRow]:
    scorer = next((metric.scorer for cell in cells for metric in cell.metrics), "")
    rows = _asked(cells, scorer)
    for kind, chosen in _chosen(rows).items():
        for row in chosen:
            id_, target = row.key
            yield ReadRow(task=task, id=id_, kind=kind, scorer=scorer, input=row.input, target=target, answers=tuple(row.answers))


def _asked(cells: Sequence[CellResult], scorer: str) -> list[_Asked]:
    """Rows whose texts and scores are known, in the order in which they were asked."""
    found: dict[_Key, _Asked] = {}
    for cell in cells:
        for sample, text in _with_texts(cell):
            score = score_of(sample, scorer)
            number = as_number(score)
            if number is None:
                continue
            known = found.get(key := (sample.id, sample.target)) or _Asked(key, text.input, (), ())
            answer = RowAnswer(run=cell.run, output=text.output, score=score, probability=_probability(sample))
            found[key] = known._replace(answers=(*known.answers, answer), numbers=(*known.numbers, number))
    return list(found.values())


def _probability(sample: Sample) -> float | None:
    """How probable the model found the answer that it gave; of one that is none of those that are known, the most probable."""
    known = {name.strip(): value for name, value in sample.probabilities.items()}
    return known.get((sample.answer or "").strip(), max(known.values())) if known else None


def _confidence(row: _Asked) -> float:
    """The largest probability of an answer of the row that is wrong; of others 0."""
    wrong = [answer for answer, number in zip(row.answers, row.numbers, strict=True) if number == 0.0]
    return max((answer.probability or 0.0 for answer in wrong), default=0.0)


def _with_texts(cell: CellResult) -> Iterator[tuple[Sample, RowText]]:
    texts = {text.id: text for text in cell.texts}
    return ((sample, texts[sample.id]) for sample in cell.samples if sample.epoch == 1 and sample.id in texts)


def _chosen(rows: Sequence[_Asked]) -> Mapping[RowKind, Sequence[_Asked]]:
    """Scores that are all 0 or 1 say what is right; of others there are high and low ones, and which are better only the task knows."""
    apart = sorted((row for row in rows if len(set(row.numbers)) > 1), key=lambda row: -pvariance(row.numbers))
    differing = sorted(_of_each_kind(apart)[:_DIFFERENT], key=rows.index)
    chosen: dict[RowKind, Sequence[_Asked]] = {RowKind.DIFFERENT: differing}
    if {number for row in rows for number in row.numbers} <= {0.0, 1.0}:
        sure = sorted((row for row in rows if row not in differing and _confidence(row) > _SURE), key=lambda row: -_confidence(row))
        chosen[RowKind.CONFIDENT] = sure[:_CONFIDENT]
        for kind, number in ((RowKind.RIGHT, 1.0), (RowKind.WRONG, 0.0)):
            alike = [row for row in rows if set(row.numbers) == {number} and row not in chosen[RowKind.CONFIDENT]]
            chosen[kind] = sorted(alike, key=lambda row: -len(row.numbers))[:_ALIKE]  # first those that most runs answered
        return chosen
    left = [row for row in rows if row not in differing]
    chosen[RowKind.HIGHEST] = sorted(left, key=lambda row: -row.mean)[:_ALIKE]
    chosen[RowKind.LOWEST] = sorted((row for row in left if row not in chosen[RowKind.HIGHEST]), key=lambda row: row.mean)[:_ALIKE]
    return chosen


def _of_each_kind(rows: Sequence[_Asked]) -> list[_Asked]:
    """Rows, of which those come last that tell the same runs apart as an earlier one."""
    seen: set[tuple[tuple[str, float], ...]] = set()
    first, rest = list[_Asked](), list[_Asked]()
    for row in rows:
        apart = tuple(zip((answer.run for answer in row.answers), row.numbers, strict=True))
        (rest if apart in seen else first).append(row)
        seen.add(apart)
    return [*first, *rest]
