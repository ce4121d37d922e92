"""Files of each format as raw rows, and raw rows of each shape as examples."""

from __future__ import annotations

import io
import json
import sys

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckgit.formats.rows import DataError, DataFiles, Layout, RawRow, RawRows, Row, Shape, Turn, read_files, read_records, rows_of, subset
from ckgit.formats.rows.shapes import detected
from ckgit.formats.rows.source import RowSource, parse_source
from ckgit.formats.rows.splits import by_fraction, divided, row_id
from ckgit.formats.rows.templates import columns_of, filled


def raw(*rows, split="train"):
    return RawRows([RawRow(split, number, row) for number, row in enumerate(rows)], "row")


def read(text, suffix):
    return [(row.split, row.number, row.raw) for row in read_records(text.encode(), suffix=suffix).found]


# Formats


def test_a_csv_row_is_named_by_its_first_line_and_may_have_several():
    assert read('a,split\r\n"1\r\n2",test\r\n\r\n3,\r\n', ".csv") == [
        ("test", 2, {"a": "1\r\n2", "split": "test"}),
        ("", 5, {"a": "3", "split": ""}),
    ]
    assert read("a\tb\n1\t,\n", ".tsv") == [("train", 2, {"a": "1", "b": ","})]


@pytest.mark.parametrize(
    ("suffix", "text", "message"),
    [
        (".csv", "a,a\n1,2\n", "the column 'a' is in its header twice"),
        (".csv", "a;b\n1;2\n", "seems to be separated by semicolons"),
        (".tsv", "a,b\n1,2\n", "seems to be separated by commas; such a file is called .csv"),
        (".csv", "a,b\n", "the file holds no rows"),
        (".csv", 'a\n"b\n', "line 2: unexpected end of data"),
        (".txt", "a", ".txt is not supported; use .json, .jsonl, .csv, .tsv or .parquet, or a folder of Hugging Face datasets"),
        (".parquet", "a", "not a Parquet file that can be read"),
        (".json", "PAR1", "it is a Parquet file; give it the suffix .parquet"),
    ],
)
def test_what_cannot_be_read_says_why(suffix, text, message):
    with pytest.raises(DataError) as caught:
        read(text, suffix)
    assert message in str(caught.value)


def test_a_line_with_other_fields_than_the_header_is_a_bad_row_that_is_named():
    with pytest.raises(DataError) as caught:
        rows_of(read_records(b"input,output\na,b\nc\n", suffix=".csv"), Layout())
    assert str(caught.value) == "line 3: it has 1 fields, and the header 2"


def test_parquet_is_read_by_pyarrow_and_says_so_where_it_is_not_installed(monkeypatch):
    content = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"input": ["a", "b"], "output": [1.5, None], "split": ["train", "test"]}), content)
    found = read_records(content.getvalue(), suffix=".parquet").found
    assert [(row.split, row.raw["output"]) for row in found] == [("train", 1.5), ("test", None)]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="Parquet is read by pyarrow, which is not installed here: pip install pyarrow"):
        read_records(content.getvalue(), suffix=".parquet")


def test_files_give_their_rows_to_splits_whatever_their_columns_say():
    files = {"a.jsonl": b'{"input": "a", "split": "x"}', "b.csv": b"input\nb\n"}
    found = read_files(DataFiles(files, splits={"test": "a.jsonl", "train": "b.csv"}))
    assert [(row.split, row.raw["input"], found.where(row)) for row in found.found] == [
        ("test", "a", "test row 0"),
        ("train", "b", "train row 0"),
    ]
    with pytest.raises(DataError, match="it holds splits of its own"):
        read_files(DataFiles({"a.json": b'{"train": [{"a": 1}]}'}, splits={"test": "a.json"}))


def test_a_folder_that_nobody_saved_or_that_is_not_whole_says_what_is_missing():
    def said(**contents):
        with pytest.raises(DataError) as caught:
            read_files(DataFiles({f"d/{name}": content for name, content in contents.items()}, folder="d"))
        return str(caught.value)

    assert "this one has neither" in said(x=b"{}")
    assert said(**{"state.json": b'{"_data_files": [{"filename": "x.arrow"}]}'}) == "x.arrow is missing, which state.json names"
    assert said(**{"dataset_dict.json": b'{"splits": ["train"]}'}) == "train/state.json is missing"
    broken = {"state.json": b'{"_data_files": [{"filename": "x.arrow"}]}', "x.arrow": b"no"}
    assert "x.arrow cannot be read as Arrow" in said(**broken)
    pointer = {"x.arrow": f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 1\n".encode()}
    assert "d/x.arrow is a git-lfs pointer, not the file itself, which git lfs pull fetches" in said(**pointer)


# Shapes


def chat(*said, **more):
    return {"messages": [{"role": role, "content": content} for role, content in said], **more}


TURNS = (("system", "s"), ("user", "1"), ("assistant", "2"), ("user", "3"), ("assistant", "4"))


def test_of_a_conversation_the_last_answer_is_trained_or_each():
    rows = raw(chat(*TURNS))
    last = Row("3", "4", (Turn("user", "1"), Turn("assistant", "2")), "s")
    assert rows_of(rows, Layout(Shape.MESSAGES)) == {"train": [last]}
    assert rows_of(rows, Layout(Shape.MESSAGES, turns="each")) == {"train": [Row("1", "2", (), "s"), last]}


def test_sharegpt_says_the_same_in_other_words():
    row = {"conversations": [{"from": "human", "value": "1"}, {"from": "gpt", "value": "2"}], "system": "s"}
    assert rows_of(raw(row), Layout(Shape.SHAREGPT)) == {"train": [Row("1", "2", (), "s")]}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (chat(("user", "1")), "messages ends without an answer"),
        (chat(("system", "s")), "messages ends without an answer"),
        (chat(("assistant", "1")), "message 1 is of assistant, where user is expected"),
        (chat(("user", "1"), ("user", "2")), "message 2 is of user, where assistant is expected"),
        (chat(("tool", "1")), "message 1 has role 'tool', which is none of system, user or assistant"),
        (chat(("user", [{"type": "text"}])), "message 1 has no text in 'content'"),
        (chat(*TURNS, system="other"), "are different system messages"),
        ({"messages": "text"}, "column 'messages' holds no list of messages"),
    ],
)
def test_what_is_no_conversation_is_refused_with_its_message(row, message):
    with pytest.raises(DataError, match=message):
        rows_of(raw(row), Layout(Shape.MESSAGES))


def test_alpaca_s_input_stands_below_its_instruction():
    rows = [{"instruction": "do", "input": text, "output": "x"} for text in ("it", " ", None)]
    assert [row.input for row in rows_of(raw(*rows), Layout(Shape.ALPACA))["train"]] == ["do\n\nit", "do", "do"]


@pytest.mark.parametrize(("value", "text"), [(5, "5"), (0.1, "0.1"), (1e22, "1e+22"), (True, "true"), (-0.0, "-0.0")])
def test_numbers_and_truths_are_their_json_text(value, text):
    assert rows_of(raw({"input": "a", "output": value}), Layout())["train"] == [Row("a", text)]
    assert json.loads(text) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, [1], {"a": 1}])
def test_what_is_no_text_and_no_number_is_refused(value):
    with pytest.raises(DataError, match="row 0: column 'output'"):
        rows_of(raw({"input": "a", "output": value}), Layout())


@pytest.mark.parametrize(
    ("rows", "shape"),
    [
        ([{"input": "a", "output": "b", "id": 1}], Shape.COLUMNS),
        ([{"instruction": "a", "input": "", "output": "b"}], Shape.ALPACA),
        ([chat(*TURNS)], Shape.MESSAGES),
        ([{"conversations": []}], Shape.SHAREGPT),
        ([{"text": "a"}], Shape.COLUMNS),
        ([chat(*TURNS), {"text": "a"}], Shape.COLUMNS),
    ],
)
def test_a_shape_is_found_where_all_rows_have_it(rows, shape):
    assert detected(raw(*rows), Layout()) is shape


def test_rows_that_can_be_read_in_two_ways_are_refused():
    with pytest.raises(DataError) as caught:
        detected(raw(chat(*TURNS, input="a", output="b")), Layout())
    said = "its rows can be read as messages and columns; write which in the design: shape: messages, or shape: columns"
    assert str(caught.value) == said


# Templates

ROW = {"q": "why", "choices": ["x", "y"], "at": 1, "as text": "0", "deep": {"a": ["z"]}, "none": None, "odd": ["{q}"]}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{q}? A {choices[0]} B {choices[-1]}", "why? A x B y"),
        ("{choices[at]}{choices[as text]}{deep[a][0]}", "yxz"),
        ("{{q}} {at}", "{q} 1"),
        ("{odd[0]}", "{q}"),
        ("", ""),
    ],
)
def test_columns_are_filled_in_and_nothing_else(template, text):
    assert filled(template, ROW) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{nope}", "no column 'nope'"),
        ("{choices}", "column 'choices' holds a list, not text"),
        ("{choices[2]}", r"choices\[2\] is not there"),
        ("{choices[q]}", r"choices\[q\] is not there"),
        ("{q.__class__}", "no column 'q.__class__'"),
        ("{q[0]}", r"q\[0\] is not there"),
        ("{none}", "column 'none' is null"),
        ("{q", "a brace stands alone at character 0"),
        ("q}", "a brace stands alone at character 1"),
        ("{}", "a brace stands alone at character 0"),
    ],
)
def test_a_template_that_cannot_be_filled_says_why(template, message):
    with pytest.raises(DataError, match=message):
        filled(template, ROW)


def test_the_columns_that_a_template_looks_up_by_are_used_too():
    assert columns_of("{q} {choices[at]} {choices[0]} {{no}}") == ["q", "choices", "at"]


# Splits

NUMBERS = st.lists(st.integers(0, 30), min_size=4, max_size=40)


@given(NUMBERS, st.integers(0, 5))
def test_fractions_divide_whatever_the_order_and_alike_rows_stay_together(numbers, seed):
    rows = raw(*({"n": number} for number in numbers))
    try:
        ids = by_fraction(rows, {"train": 0.5, "test": 0.5}, seed)
    except DataError as error:
        assert "without any" in str(error)  # noqa: PT017 - of few rows that are alike
        return
    assert ids == by_fraction(raw(*(row.raw for row in reversed(rows.found))), {"test": 0.5, "train": 0.5}, seed)
    found = divided(rows, ids).found
    assert len(found) == len(numbers)
    splits = {split: {row.raw["n"] for row in found if row.split == split} for split in ids}
    assert not splits["train"] & splits["test"]


def test_a_split_by_fraction_never_changes():
    rows = raw(*({"n": number} for number in range(10)))
    assert row_id({"n": 0}) == "f3013f933b9fb80a"
    test = [row.raw["n"] for row in divided(rows, by_fraction(rows, {"train": 0.8, "test": 0.2}, 0)).found if row.split == "test"]
    assert test == [3, 5]


def test_fractions_that_mix_splits_or_leave_one_empty_are_refused():
    with pytest.raises(DataError, match="has splits of its own"):
        by_fraction(RawRows([RawRow("a", 0, {}), RawRow("b", 0, {})], "row"), {"train": 1.0}, 0)
    with pytest.raises(DataError, match="leave split test without any"):
        by_fraction(raw({"n": 1}, {"n": 2}), {"train": 0.9, "test": 0.1}, 0)


@given(st.lists(st.text(max_size=3), max_size=20), st.integers(0, 20), st.integers(0, 20))
def test_a_smaller_subset_is_part_of_a_larger_one_and_keeps_the_order(texts, one, other):
    rows = [Row(text, str(number)) for number, text in enumerate(texts)]
    small, large = (subset(rows, most) for most in sorted((one, other)))
    assert len(small) == min(one, other, len(rows))
    assert [row for row in large if row in small] == small
    assert [row for row in rows if row in large] == large


# What jobs are told


def test_what_a_job_is_told_is_read_as_it_was_written_from_wherever_it_is():
    layout = Layout(Shape.TEMPLATE, input="{q}", output="{a}", split_column="fold")
    source = RowSource(["data/x.csv", "data/y.csv"], "", {"train": "data/x.csv", "test": "data/y.csv"}, layout, {"train": ["ab"]})
    content = source.dump("experiments/e/data/rows.rows")
    assert parse_source(content, "experiments/e/data/rows.rows") == source
    assert parse_source(content, "../experiments/e/data/rows.rows").paths == ["../data/x.csv", "../data/y.csv"]
    for broken in (b"", b"[]", b"{}", content.replace(b"template", b"temple"), content.replace(b'"ckgit_rows": 1', b'"ckgit_rows": 2')):
        with pytest.raises(DataError, match=r"x\.rows"):
            parse_source(broken, "x.rows")
