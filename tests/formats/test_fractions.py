"""Rows that are alike as examples come into one split, whatever a column says that no example has."""

import json

from ckgit.formats.rows import Layout, read_records, rows_of
from ckgit.formats.rows.shapes import examples_by_row
from ckgit.formats.rows.splits import by_fraction, divided


def test_an_id_column_lets_no_example_be_trained_on_and_evaluated() -> None:
    rows = [{"id": number, "input": f"q{number % 5}", "output": f"a{number % 5}"} for number in range(50)]
    records = read_records(json.dumps(rows).encode(), suffix=".json")
    alike = examples_by_row(records, Layout())
    made = rows_of(divided(records, by_fraction(records, {"train": 0.8, "test": 0.2}, 0, lambda record: alike[record.number])), Layout())
    assert not set(made["train"]) & set(made["test"])
