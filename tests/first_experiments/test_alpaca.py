"""Alpaca's three columns, the second of which is empty in some rows."""

import json

import pytest

pytestmark = pytest.mark.slow
WORDS = ("apple", "bread", "chair", "dress", "eagle", "flame", "grape", "house")
ROWS = [
    {"instruction": "capitals" if n % 2 else f"capitals: {word}", "input": word if n % 2 else "", "output": word.upper()}
    for n, word in enumerate(WORDS)
]


def test_from_an_alpaca_file_to_a_report(first_lab):
    first_lab.commit({"data/train.json": json.dumps(ROWS), "data/test.tsv": "instruction\tinput\toutput\ncapitals\tknife\tKNIFE\n"})
    said = first_lab.design("alpaca", "{files: {train: data/train.json, test: data/test.tsv}}")
    assert "is read as Alpaca rows (instruction, input, output); write shape: alpaca" in said

    first_lab.finish("alpaca")

    (sample,) = first_lab.samples("alpaca")
    assert (sample.input, sample.target) == ("capitals\n\nknife", "KNIFE")
