"""Runs that answer the same to nearly every row: what a score alone does not show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ckgit.experiment.results import CellResult, RunRow, place_of_checkpoint

_SHARE = 0.9  # of the rows
_FEWEST = 5  # rows: of fewer it says nothing


class SameAnswer(NamedTuple):
    """One answer that an evaluation gave to nearly every row."""

    cell: CellResult
    answer: str
    given: int  # rows that have it
    expected: int  # of which it was the target
    rows: int  # that are known

    @property
    def run(self) -> str:
        """Which model gave it."""
        place = place_of_checkpoint(self.cell.epoch, self.cell.checkpoint)
        return f"{self.cell.run} ({place})" if place else self.cell.run


def same_answers(runs: Sequence[RunRow]) -> Iterator[SameAnswer]:
    """Every evaluation that has one answer for nearly all rows, though these want several."""
    for cell in (cell for run in runs for cell in run.cells):
        if found := _of(cell):
            yield found


def _of(cell: CellResult) -> SameAnswer | None:
    given = _answers(cell)
    if len(given) < _FEWEST:
        return None
    [(answer, count)] = Counter(answer for answer, _ in given).most_common(1)
    targets = Counter(target for _, target in given)
    if count < _SHARE * len(given) or max(targets.values()) >= _SHARE * len(given):
        return None
    return SameAnswer(cell, answer, count, targets[answer], len(given))


def _answers(cell: CellResult) -> list[tuple[str, str]]:
    """Answer and target of each row: as the scorer read it from the text, or the text where no scorer does that."""
    if any(sample.answer is not None for sample in cell.samples):
        return [(sample.answer.strip(), (sample.target or "").strip()) for sample in cell.samples if sample.answer is not None]
    targets = {sample.id: sample.target or "" for sample in cell.samples}
    return [(text.output.strip(), targets.get(text.id, "").strip()) for text in cell.texts]
