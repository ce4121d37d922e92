"""The answer: the best run and what stands against it, and runs that say the same to every row."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ckgit.analysis.reading.best import best_of_tasks
from ckgit.analysis.reading.same_answers import same_answers
from ckgit.analysis.reading.sections import answer_section
from ckgit.experiment.results import CellResult, Metric, Results, RowText, Sample
from tests.analysis.build import DIGEST, cell
from tests.analysis.reading.test_rows import rows_of


def valued(run: str, value: float | None, *, name: str = "accuracy", ends: tuple[float, float] | None = None) -> CellResult:
    low, high = ends or (None, None)
    return cell(run, 0, metrics=(Metric(scorer="match", name=name, value=value, low=low, high=high, samples=40),))


def answer(*cells: CellResult) -> str:
    return answer_section(Results(experiment="e", question="q", design=DIGEST, runs=tuple(rows_of(*cells))))


def saying(answers: Sequence[str | None], targets: Sequence[str], outputs: Sequence[str] = ()) -> CellResult:
    pairs = enumerate(zip(answers, targets, strict=True))
    samples = tuple(Sample(id=at, scores={}, answer=said, target=target) for at, (said, target) in pairs)
    texts = tuple(RowText(id=at, input="", output=each) for at, each in enumerate(outputs))
    return cell("base", 0, metrics=(), samples=samples, texts=texts)


def test_the_best_is_named_with_its_rows_and_is_no_claim() -> None:
    text = answer(valued("a", 0.5, ends=(0.4, 0.6)), valued("b", 0.9, ends=(0.8, 0.95)), valued("c", 0.85, ends=(0.7, 0.9)))
    assert "capitalization: **b** has the highest accuracy (match) of 3 evaluations, 0.900 [0.800, 0.950] over 40 rows." in text
    assert "Its interval overlaps with 1 of the others." in text
    assert "it is no claim" in text


def test_what_is_an_error_is_best_where_it_is_lowest() -> None:
    [best] = best_of_tasks(rows_of(valued("a", 3.0, name="mean_absolute_error"), valued("b", 1.0, name="mean_absolute_error")))
    assert (best.cell.run, best.lowest, best.uncertain) == ("b", True, 1)
    assert "**b** has the lowest mean\\_absolute\\_error" in answer(best.cell, valued("a", 3.0, name="mean_absolute_error"))


def test_equal_ones_are_told_and_undefined_ones_are_not_compared() -> None:
    text = answer(valued("a", 0.5), valued("b", 0.5), valued("c", None), valued("d", 0.25))
    assert "**a** has the highest accuracy (match) of 3 evaluations" in text
    assert "The very same value: b; " in text


def test_where_all_are_equal_none_is_called_the_best() -> None:
    text = answer(valued("a", 0.0), valued("b", 0.0))
    assert "all 2 evaluations have the very same accuracy (match), 0 over 40 rows." in text
    assert "highest" not in text


def test_one_evaluation_is_no_best_one() -> None:
    assert "nothing else was evaluated on it" in answer(valued("a", 0.5))
    assert "it is no claim" not in answer(valued("a", 0.5))
    assert answer() == ""


@pytest.mark.parametrize(
    ("given", "wanted", "told"),
    [
        (["A"] * 97 + ["B"] * 3, ["A", "B", "C", "D"] * 25, "it answers “A” to 97 of 100 rows of capitalization; it was expected in 25."),
        ([""] * 10, ["A", "B"] * 5, "it answers nothing to 10 of 10 rows of capitalization; it was expected in none."),
        (["A"] * 80 + ["B"] * 20, ["A", "B"] * 50, ""),
        (["A"] * 100, ["A"] * 95 + ["B"] * 5, ""),  # they want nothing else
        (["A"] * 4, ["A", "B", "C", "D"], ""),
    ],
)
def test_one_answer_to_every_row_is_told(given: list[str], wanted: list[str], told: str) -> None:
    text = answer(saying(given, wanted))
    assert told in text
    assert bool(text) == bool(told)


def test_where_no_scorer_reads_an_answer_the_text_is_taken() -> None:
    [found] = same_answers(rows_of(saying([None] * 6, ["A", "B"] * 3, outputs=["so "] * 6)))
    assert (found.answer, found.given, found.rows) == ("so", 6, 6)


def test_what_a_model_said_becomes_no_markup() -> None:
    assert "![x](" not in answer(saying(["![x](https://evil.example/a.png)"] * 6, ["A", "B"] * 3))
