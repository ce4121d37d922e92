"""A CSV of texts with labels, without splits."""

import json

import pytest

pytestmark = pytest.mark.slow
WORDS = ("fine", "good", "nice", "kind", "poor", "weak", "grim", "dull")
ROWS = [f'"{word}, {n}",{int(word in WORDS[:4])}' for n in range(4) for word in WORDS]


def test_from_a_csv_with_labels_to_a_report(first_lab):
    first_lab.commit({"data/reviews.csv": "\n".join(["text,label", *ROWS]) + "\n"})
    data = "{path: data/reviews.csv, input_column: text, output_column: label, fractions: {train: 0.75, test: 0.25}, split_seed: 7}"
    first_lab.design("reviews", data, controls=', prompt: "{input} ->", max_samples: 16')

    source = json.loads(first_lab.read("reviews", "data/rows.rows"))
    assert {split: len(ids) for split, ids in source["ids"].items()} == {"train": 24, "test": 8}
    results = first_lab.finish("reviews")

    samples = first_lab.samples("reviews")
    assert len(samples) == 8
    assert {sample.target for sample in samples} <= {"0", "1"}
    assert all(f'"{sample.input.removesuffix(" ->")}",{sample.target}' in ROWS for sample in samples)
    (run,) = results["runs"]
    assert run["training"]["steps"] == 4  # 16 rows in batches of 4
