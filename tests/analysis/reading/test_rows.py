"""Which rows of the results are shown, and what of others' text may do there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pytest
from markdown_it import MarkdownIt

from ckgit.analysis.reading.rows import worth_reading
from ckgit.analysis.reading.sections import rows_section
from ckgit.experiment.design.model import RunType
from ckgit.experiment.measured.answers import Score
from ckgit.experiment.measured.compared import RowKind
from ckgit.experiment.results import CellResult, RowText, RunRow, Sample
from tests.analysis.build import cell
from tests.orchestrators.review.test_review import HOSTILE, Tags


def answered(run: str, scores: Sequence[Score], outputs: Sequence[str] = (), **changes: object) -> CellResult:
    """An evaluation with one score a row; the model writes `run-id` where nothing else is said."""
    said = [*outputs, *(f"{run}-{at}" for at in range(len(outputs), len(scores)))]
    samples = tuple(Sample(id=at, scores={"match": score}, target=f"t{at}") for at, score in enumerate(scores))
    texts = tuple(RowText(id=at, input=f"asked {at}", output=text) for at, text in enumerate(said))
    return cell(run, 0, **{"samples": samples, "texts": texts, **changes})


def rows_of(*cells: CellResult) -> Sequence[RunRow]:
    by_run: dict[str, list[CellResult]] = {}
    for each in cells:
        by_run.setdefault(each.run, []).append(each)
    return [RunRow(name=name, type=RunType.FINE_TUNED, cells=tuple(found)) for name, found in by_run.items()]


def chosen(*cells: CellResult) -> Mapping[RowKind, Sequence[int | str]]:
    found: dict[RowKind, list[int | str]] = {}
    for row in worth_reading(rows_of(*cells)):
        found.setdefault(row.kind, []).append(row.id)
    return found


def test_rows_are_shown_where_runs_differ_and_where_all_are_right_or_wrong() -> None:
    one, other = answered("a", [1, 0, 1, 0, 1, 0]), answered("b", [1, 0, 0, 1, 1, 0])
    assert chosen(one, other) == {RowKind.DIFFERENT: [2, 3], RowKind.RIGHT: [0, 4], RowKind.WRONG: [1, 5]}


def test_of_rows_that_differ_those_come_first_that_tell_other_runs_apart() -> None:
    one, other = answered("a", [1, 1, 1, 1, 0]), answered("b", [0, 0, 0, 0, 1])
    assert chosen(one, other) == {RowKind.DIFFERENT: [0, 1, 4]}


def test_scores_that_are_no_shares_have_ends_and_no_right() -> None:
    assert chosen(answered("a", [0.5, 9.0, -3.0, 4.0])) == {RowKind.HIGHEST: [1, 3], RowKind.LOWEST: [2, 0]}


def test_each_run_speaks_by_its_last_checkpoint() -> None:
    [row] = worth_reading(rows_of(answered("a", [0], epoch=0), answered("a", [1], epoch=1, outputs=["late"])))
    assert [(answer.run, answer.output) for answer in row.answers] == [("a", "late")]


def test_a_number_of_a_row_is_not_the_row() -> None:
    other = answered("b", [0]).model_copy(update={"samples": (Sample(id=0, scores={"match": 0}, target="something else"),)})
    assert chosen(answered("a", [1]), other) == {RowKind.RIGHT: [0], RowKind.WRONG: [0]}


def test_without_texts_or_scores_there_is_nothing_to_read() -> None:
    assert chosen(cell("a", 3)) == {}
    assert chosen(answered("a", [None, None])) == {}
    assert rows_section(()) == ""


def test_equal_answers_stand_once_however_many_runs_gave_them() -> None:
    many = [answered(f"run{at:02}", [at % 2], ["yes" if at % 2 else "no"]) for at in range(40)]
    text = rows_section(worth_reading(rows_of(*many)))
    assert "| yes | 1 | run01, run03, run05, run07, run09, run11, run13, run15 and 12 more |" in text
    assert text.count("\n| ") == 4  # heading, line, and two answers
    other = rows_section(worth_reading(rows_of(*(answered(f"run{at:02}", [at % 2]) for at in range(40)))))
    assert other.count("\n| ") == 8
    assert other.endswith("\n\nand 34 more answers of 34 runs")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_that_a_row_or_a_model_says_becomes_markup(text: str) -> None:
    def written(said: str) -> str:
        [row] = worth_reading(rows_of(answered("a", [1], [said])))
        return rows_section([row.model_copy(update={"input": said, "target": said, "id": said, "task": said, "scorer": said})])

    shown, harmless = (Tags(MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(written(each))) for each in (text, "x"))
    assert shown.tags == harmless.tags
    assert written(text).count("\n") == written("x").count("\n")
    assert not re.search(r"@\w|#\d|://|www\.|\x1b|\u202e", shown.words)
