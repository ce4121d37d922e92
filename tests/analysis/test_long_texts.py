"""Of answers as long as books results.json has the beginning; samples.parquet has them whole, and rows are the same as before."""

from __future__ import annotations

import hashlib
import io
import json

import pytest
from pyarrow import parquet

from ckgit.analysis.assemble import assemble
from ckgit.analysis.comparing.same_rows import shared_rows
from ckgit.analysis.samples_file import samples_file
from ckgit.experiment.accounting import Accounting
from ckgit.experiment.measured.long_texts import KEPT, LONGEST, cut
from ckgit.experiment.results import CellResult, Results, RowText
from ckgit.orchestrators.analyze.files import document_of
from tests.analysis.build import context, jobs, left

BOOK = "word " * 20_000


def test_a_long_text_is_told_by_its_beginning_its_length_and_its_digest() -> None:
    assert cut(None) is None
    assert cut("x" * LONGEST) == "x" * LONGEST
    short = cut(BOOK)
    assert short == f"{BOOK[:KEPT]}… (100,000 characters in all, SHA-256 {hashlib.sha256(BOOK.encode()).hexdigest()})"
    assert cut(short) == short
    assert cut(f"{BOOK}.") != short
    assert cut("\ud800" * 5_000)


@pytest.fixture(scope="module")
def found() -> Results:
    of = context()

    def told(cell: CellResult) -> CellResult:
        update = {"answer": BOOK, "target": BOOK, "scores": {"match": 1.0, "says": BOOK}}
        samples = tuple(sample.model_copy(update=update) for sample in cell.samples)
        texts = tuple(RowText(id=sample.id, input="?", output="!") for sample in samples)
        return cell.model_copy(update={"samples": samples, "texts": texts})

    made = left(of, {"rank4": 20, "rank8": 35, "base": 5})
    wrong = {name: [told(each) if isinstance(each, CellResult) else each for each in some] for name, some in made.items()}
    return assemble(of, jobs(of), wrong, {}, Accounting())


def test_results_have_the_beginning_and_samples_the_whole(found: Results) -> None:
    document = document_of(found)
    assert len(document) < 1_000_000
    read = Results.model_validate_json(document)
    cells = [cell for run in read.runs for cell in run.cells]
    samples = [sample for cell in cells for sample in cell.samples]
    assert {text for each in samples for text in (each.answer, each.target, each.scores["says"])} == {cut(BOOK)}
    assert read.rows
    assert {row.target for row in read.rows} == {cut(BOOK)}
    table = parquet.read_table(io.BytesIO(samples_file(found) or b""))
    assert {*table.column("answer").to_pylist(), *table.column("target").to_pylist()} == {BOOK}


def test_short_ones_are_as_they_were() -> None:
    of = context()
    made = assemble(of, jobs(of), left(of, {"rank4": 20, "rank8": 35, "base": 5}), {}, Accounting())
    texts = [cell["samples"][0] for run in json.loads(document_of(made))["runs"] for cell in run["cells"]]
    assert {(text["answer"], text["target"]) for text in texts} == {("A", "A")}


def test_rows_of_older_results_that_have_them_whole_are_the_same(found: Results) -> None:
    whole = found.runs[0].cells[0]
    short = Results.model_validate_json(document_of(found)).runs[0].cells[0]
    assert shared_rows([whole, short]) == [sample.id for sample in whole.samples]
