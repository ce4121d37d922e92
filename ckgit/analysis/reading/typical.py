"""What each run answers most often: a few words that tell a reader what a model does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ckgit.analysis.comparing.main_metric import last_of
from ckgit.analysis.scores import score_of
from ckgit.experiment.measured.compared import TypicalAnswer
from ckgit.experiment.results import CellResult, RunRow

_MOST = 3  # answers of a run
MOST_RUNS = 20  # of a task, those that the design has first
_CUT = 200  # characters


def typical_answers(runs: Sequence[RunRow]) -> tuple[TypicalAnswer, ...]:
    """The most frequent answers of each run's last evaluation; of answers that are all different, the first in the order of the rows."""
    tasks = dict.fromkeys(cell.task for run in runs for cell in run.cells)
    return tuple(each for task in tasks for cell in last_of(runs, task)[:MOST_RUNS] for each in _of_cell(cell))


def _of_cell(cell: CellResult) -> Iterator[TypicalAnswer]:
    texts = {text.id: text.output for text in cell.texts}
    told = any(sample.answer is not None for sample in cell.samples)
    said = {sample.id: (sample.answer if told else texts.get(sample.id)) for sample in cell.samples if sample.epoch == 1}
    known = {key: answer.strip() for key, answer in said.items() if answer is not None}
    scorer = cell.metrics[0].scorer if cell.metrics else ""
    scores = {sample.id: score_of(sample, scorer) for sample in cell.samples if sample.epoch == 1}
    for answer, given in Counter(known.values()).most_common(_MOST):
        first = next(key for key, each in known.items() if each == answer)
        yield TypicalAnswer(
            task=cell.task, run=cell.run, answer=answer[:_CUT], given=given, rows=len(known), id=first, score=scores.get(first)
        )
