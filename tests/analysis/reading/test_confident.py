"""Errors that were made with confidence, and what runs answer most often."""

from __future__ import annotations

from ckgit.analysis.reading.rows import worth_reading
from ckgit.analysis.reading.sections import rows_section
from ckgit.analysis.reading.typical import typical_answers
from ckgit.experiment.measured.compared import RowKind
from ckgit.experiment.results import RowText, Sample
from tests.analysis.build import cell
from tests.analysis.reading.test_rows import rows_of

SURE = ((0, 0.9, "yes"), (1, 0.6, "no"), (0, 0.99, "yes"), (0, 0.4, "yes"), (1, 1.0, "yes"))  # score, probability of the answer, answer


def test_the_surest_errors_are_shown_and_how_sure_they_were() -> None:
    samples = tuple(
        Sample(id=at, scores={"match": score}, answer=answer, target="t", probabilities={answer: sure, "?": 1 - sure})
        for at, (score, sure, answer) in enumerate(SURE)
    )
    runs = rows_of(cell("a", 0, samples=samples, texts=tuple(RowText(id=at, input="i", output="o") for at in range(5))))
    found = worth_reading(runs)
    assert [row.id for row in found if row.kind is RowKind.CONFIDENT] == [2, 0]
    assert [row.id for row in found if row.kind is RowKind.WRONG] == [3]
    typical = typical_answers(runs)
    assert [(each.answer, each.given, each.rows, each.id) for each in typical] == [("yes", 4, 5, 0), ("no", 1, 5, 1)]
    text = rows_section(found, typical)
    assert "a (99 % sure)" in text
    assert "| a | yes (4 of 5; row 0) | no (1 of 5; row 1) |" in text
