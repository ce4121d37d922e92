"""Rows where a job runs, with the columns of which they are not made."""

from __future__ import annotations

import json
from pathlib import Path

from ckgit.formats.rows.metadata import LONGEST, MOST_COLUMNS, metadata_of
from ckgit.workers.data import read_split, read_with_metadata


def test_other_columns_go_with_a_row(tmp_path: Path) -> None:
    rows = [{"q": "one?", "a": "1", "split": "test", "age": 34, "sex": "f", "more": {"x": 1}}, {"q": "two?", "a": "2", "split": "train"}]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows))
    columns = {"input_column": "q", "output_column": "a"}
    [(row, known)] = read_with_metadata(path, "test", **columns)
    assert (row.input, row.output, known) == ("one?", "1", {"age": 34, "sex": "f"})
    assert read_split(path, "test", **columns) == [row]


def test_what_is_no_short_scalar_is_left_out() -> None:
    odd = {"text": "x" * (LONGEST + 1), "list": [1], "nan": float("nan"), "big": 2**80, "none": None, "half": "\ud800", 3: True, "": 1}
    assert metadata_of(odd) == {"none": None, "half": "?", "3": True}
    assert len(metadata_of({str(number): number for number in range(999)})) == MOST_COLUMNS


def test_what_looks_like_a_secret_is_masked() -> None:
    (found,) = metadata_of({"note": "hf_" + "a1" * 20}).values()
    assert "a1a1" not in str(found)
