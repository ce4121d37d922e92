"""samples.parquet: what its columns are, and that the same results give the same bytes."""

from __future__ import annotations

import io

import duckdb
from pyarrow import parquet

from ckgit.analysis.samples_file import samples_file
from ckgit.experiment.design.model import RunType
from ckgit.experiment.measured.answers import AnswerRow
from ckgit.experiment.results import Results, RunRow, Sample
from tests.analysis.build import DIGEST, cell

SAMPLES = (
    Sample(id=1, scores={"match": 1.0, "grade": "fair"}, answer="A", target="A", metadata={"age": 34, "sex": "f", "old": False}),
    Sample(id="2", epoch=2, scores={"match": None, "grade": "C"}, answer=None, target='["A", "B"]', probabilities={"B": 0.25, "A": 0.75}),
    Sample(id=3, scores={}, answer="=cmd()|'\ud800", target="日本", metadata={"none": None}),
)


def results(samples: tuple[Sample, ...] = SAMPLES) -> Results:
    row = RunRow(name="rank8", type=RunType.CONTROL, cells=(cell("rank8", 0, samples=samples, epoch=1),))
    return Results(experiment="demo", question="?", design=DIGEST, runs=(row,))


def test_a_row_for_each_answer() -> None:
    found = parquet.read_table(io.BytesIO(samples_file(results()) or b"")).to_pylist()
    assert list(found[0]) == list(AnswerRow.model_fields)
    assert [(row["run"], row["task"], row["epoch"], row["id"], row["repeat"]) for row in found] == [
        ("rank8", "capitalization", 1, "1", 1),
        ("rank8", "capitalization", 1, "2", 2),
        ("rank8", "capitalization", 1, "3", 1),
    ]
    assert (found[0]["scores"], found[0]["score_texts"]) == ([("match", 1.0)], [("grade", "fair")])
    assert found[0]["metadata"] == [("age", "34"), ("old", "false"), ("sex", "f")]
    assert (found[1]["scores"], found[1]["probabilities"]) == ([("grade", 1.0)], [("A", 0.75), ("B", 0.25)])
    assert (found[2]["answer"], found[2]["target"], found[2]["metadata"]) == ("=cmd()|'?", "日本", [])


def test_the_same_results_give_the_same_bytes() -> None:
    one = samples_file(results())
    assert one == samples_file(results())
    turned = tuple(each.model_copy(update={"scores": dict(reversed(each.scores.items()))}) for each in SAMPLES)
    assert one == samples_file(results(turned))


def test_nothing_answered_is_no_file() -> None:
    assert samples_file(results(())) is None


def test_duckdb_reads_the_maps(tmp_path) -> None:
    path = tmp_path / "samples.parquet"
    path.write_bytes(samples_file(results()) or b"")
    found = duckdb.read_parquet(str(path)).project("id, scores['match'], metadata['age']").order("id")
    assert found.fetchall() == [("1", 1.0, "34"), ("2", None, None), ("3", None, None)]
