"""A Parquet file whose answer is a number, and a task from the template that measures how far an answer is from it."""

import io
import math
import re

import pyarrow
import pyarrow.parquet
import pytest

pytestmark = pytest.mark.slow


def test_from_parquet_with_numbers_to_a_report(first_lab):
    rows = {
        "question": [f"{n % 9} more" for n in range(40)],
        "more": [n % 9 + 1 for n in range(40)],
        "part": ["train" if n < 30 else "test" for n in range(40)],
    }
    content = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(rows), content)
    first_lab.commit({"data/sums.parquet": content.getvalue()})
    columns = ("--input-column", "question", "--output-column", "more")
    first_lab.ckgit("task", "new", "error", "--template", "numeric", "--data", "data/sums.parquet", *columns)
    first_lab.commit()
    data = '{path: data/sums.parquet, input: "what is {question}", output: "{more}", split_column: part}'
    first_lab.design("sums", data, task="{name: error}", controls=", epochs: 6")

    results = first_lab.finish("sums")

    samples = first_lab.samples("sums")
    assert [(sample.input, sample.target) for sample in samples] == [(f"what is {n % 9} more", str(n % 9 + 1)) for n in range(30, 40)]
    metrics = {(each["scorer"], each["name"]): each for each in results["runs"][0]["cells"][0]["metrics"]}
    answers = [(re.search(r"[0-9]+", sample.output.completion), float(sample.target)) for sample in samples]
    errors = [abs(float(found[0]) - target) for found, target in answers if found]
    assert len(errors) >= 5, [sample.output.completion for sample in samples]  # it has learned to answer with numbers
    assert metrics["parsed", "accuracy"]["value"] == pytest.approx(len(errors) / 10)
    assert metrics["absolute_error", "mean"]["value"] == pytest.approx(sum(errors) / len(errors))
    assert metrics["absolute_error", "rmse"]["value"] == pytest.approx(math.sqrt(sum(each**2 for each in errors) / len(errors)))
