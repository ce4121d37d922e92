"""Rows of a chosen and a rejected answer, in the forms in which people have them."""

import io
import json

import pyarrow as pa
import pyarrow.parquet
import pytest

from ckgit.experiment.design.data import DataSet
from ckgit.formats.rows import DataError, Layout, Row, Shape, Turn, read_records, rows_of, subset
from ckgit.formats.rows.shapes import detected
from ckgit.orchestrators.data.find import FoundFiles, measure, read

ROW = {"prompt": "Hello?", "chosen": "Hi!", "rejected": "No."}
FOUND = Row("Hello?", "Hi!", rejected="No.")


def said(*texts, system=None):
    turns = [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(texts)]
    return [{"role": "system", "content": system}, *turns] if system else turns


def answer(text):
    return [{"role": "assistant", "content": text}]


HUMAN = {"from": "human", "value": "Hello?"}


def made(*rows, **layout):
    records = read_records("\n".join(map(json.dumps, rows)).encode(), suffix=".jsonl")
    return rows_of(records, Layout(detected(records, Layout(**layout)), **layout))["train"]


def refused(row, **layout):
    with pytest.raises(DataError) as caught:
        made(row, **layout)
    return str(caught.value)


@pytest.mark.parametrize(
    "row",
    [
        ROW,
        {"prompt": said("Hello?"), "chosen": "Hi!", "rejected": "No."},
        {"prompt": said("Hello?"), "chosen": answer("Hi!"), "rejected": answer("No.")},
        {"prompt": said("Hello?"), "chosen": said("Hello?", "Hi!"), "rejected": said("Hello?", "No.")},
        {"prompt": "Hello?", "chosen": said("Hello?", "Hi!"), "rejected": said("Hello?", "No.")},
        {"chosen": said("Hello?", "Hi!"), "rejected": said("Hello?", "No.")},
        {"instruction": "Hello?", "input": "", "chosen": "Hi!", "rejected": "No."},
        {"conversations": [HUMAN], "chosen": {"from": "gpt", "value": "Hi!"}, "rejected": {"from": "gpt", "value": "No."}},
        {"messages": said("Hello?"), "chosen": answer("Hi!")[0], "rejected": answer("No.")[0]},
    ],
    ids=[
        *("texts", "prompt of messages", "answers of messages", "conversations with prompt", "prompt as text", "shared beginning"),
        *("instruction", "answers to a conversation", "answers to messages"),
    ],
)
def test_a_preference_is_read_in_each_of_its_forms(row):
    assert made(row) == [FOUND]


def test_forms_of_llama_factory_have_what_was_said_before():
    turns = [{"from": "human", "value": "1"}, {"from": "gpt", "value": "2"}, {"from": "human", "value": "3"}]
    answers = {name: {"from": "gpt", "value": text} for name, text in (("chosen", "good"), ("rejected", "bad"))}
    expected = Row("3", "good", (Turn("user", "1"), Turn("assistant", "2")), "s", "bad")
    assert made({"conversations": turns, **answers, "system": "s"}) == [expected]
    assert made({"conversations": [{"from": "system", "value": "s"}, *turns], **answers}) == [expected]
    about = {"instruction": "3", "input": "x", "history": [["1", "2"]], "system": "s", "chosen": "good", "rejected": "bad"}
    assert made(about) == [expected._replace(input="3\n\nx")]
    used = measure(FoundFiles({"a.json": json.dumps([about]).encode()}), DataSet(path="a.json"), "e", "pairs")
    assert (used.recorded.shape, used.profile.unused) == ("preference", [])


def test_what_both_conversations_begin_with_is_their_prompt():
    before = said("1", "2", system="s")
    row = {name: [*before, *said("3", text)] for name, text in (("chosen", "good"), ("rejected", "bad"))}
    assert made(row) == [Row("3", "good", (Turn("user", "1"), Turn("assistant", "2")), "s", "bad")]
    assert made({"system": "s", **ROW}) == [FOUND._replace(system="s")]


def test_tables_name_their_columns():
    columns = {"input_column": "question", "output_column": "better", "rejected_column": "worse"}
    text = b"question,better,worse\nHello?,Hi!,No.\n"
    table = pa.table({"question": ["Hello?"], "better": ["Hi!"], "worse": ["No."]})
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out)
    for suffix, content in ((".csv", text), (".tsv", text.replace(b",", b"\t")), (".parquet", out.getvalue())):
        assert rows_of(read_records(content, suffix=suffix), Layout(**columns)) == {"train": [FOUND]}
    template = Layout(Shape.TEMPLATE, input="{question}?", output="{better}", rejected_column="worse")
    assert rows_of(read_records(text.replace(b"?", b""), suffix=".csv"), template) == {"train": [FOUND]}


def test_a_common_set_of_preferences_in_parquet_is_read():
    """As UltraFeedback has them, but for its `messages`."""
    answers = {"chosen": said("Hello?", "Hi!"), "rejected": said("Hello?", "No.")}
    rows = [{"prompt": "Hello?", "prompt_id": "ab12", **answers, "score_chosen": 8.5}]
    out = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), out)
    found = measure(FoundFiles({"data/train.parquet": out.getvalue()}), DataSet(path="data/train.parquet"), "e", "pairs")
    assert (found.profile.rows, found.profile.unused, found.recorded.shape) == ({"train": [FOUND]}, [], "preference")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (ROW | {"rejected": " Hi! "}, "line 1: its chosen and its rejected answer are the same, so none is preferred"),
        (ROW | {"chosen": ""}, "line 1: its chosen answer is empty, and a preference needs two answers"),
        (ROW | {"rejected": "\n"}, "line 1: its rejected answer is empty, and a preference needs two answers"),
        (ROW | {"rejected": None}, "line 1: column 'rejected' is null"),
        ({"chosen": "Hi!", "rejected": "No."}, "line 1: no column 'prompt' says what the two texts answer (columns: chosen, rejected);"),
        ({"chosen": said("1", "2"), "rejected": "3"}, "line 1: column 'rejected' holds no list of messages, and the other answer is one"),
        ({"chosen": said("1", "2"), "rejected": said("0", "3")}, "line 1: chosen and rejected differ from message 1 on, and may do so in"),
        ({"chosen": said("1", "2", "3", "4"), "rejected": said("1", "5")}, "line 1: chosen and rejected differ from message 2 on"),
        ({"chosen": said("1"), "rejected": said("2")}, "line 1: chosen ends without an answer of the assistant"),
        ({"chosen": answer("1"), "rejected": answer("2")}, "line 1: chosen: no message of a user comes before the answer"),
        ({"prompt": "0", "chosen": said("1", "2"), "rejected": said("1", "3")}, "line 1: chosen does not begin with the prompt: no"),
        ({"prompt": said("0"), "chosen": said("1", "2"), "rejected": said("1", "3")}, "line 1: chosen does not begin with the prompt, and"),
        ({"prompt": said("1", "2"), "chosen": "3", "rejected": "4"}, "line 1: prompt: no message of a user comes before the answer"),
        ({"conversations": [HUMAN], "chosen": HUMAN, "rejected": HUMAN}, "line 1: chosen is a message of user, and no answer of the"),
        ({"conversations": [HUMAN], "chosen": {"from": "it"}, "rejected": {}}, "line 1: chosen: message 1 has from 'it', which is none of"),
        (ROW | {"chosen": answer("1")[0], "rejected": answer("2")[0]}, "line 1: its answers are messages, and no list of those before"),
        ({"instruction": "i", "input": 3, "chosen": "1", "rejected": "2"}, "line 1: column 'input' holds a number, not text"),
        ({"instruction": "i", "history": ["1"], "chosen": "1", "rejected": "2"}, "line 1: column 'history' holds something else than"),
        ({"instruction": "i", "history": 5, "chosen": "1", "rejected": "2"}, "line 1: column 'history' holds something else than"),
        ({"instruction": "i", "history": {"1": "2"}, "chosen": "1", "rejected": "2"}, "line 1: column 'history' holds something else than"),
        (ROW | {"messages": said("1", "2")}, "its rows can be read as messages and preference; write which in the design: shape: mess"),
    ],
)
def test_what_is_no_preference_is_refused_with_its_line(row, why):
    assert refused(row).startswith(why)


def test_columns_that_are_not_there_are_named():
    columns = {"input_column": "prompt", "output_column": "chosen", "rejected_column": "worse"}
    records = read_records(json.dumps(ROW).encode(), suffix=".jsonl")
    with pytest.raises(DataError, match=r"no text in column 'worse' \(columns: prompt, chosen, rejected\)"):
        rows_of(records, Layout(**columns))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"rejected_column": "r"}, "rejected_column: makes preferences of columns; write input_column and output_column, too"),
        ({"rejected_column": "r", "shape": "alpaca"}, "shape: alpaca says that there are none"),
        ({"shape": "preference", "turns": "each"}, "these rows are none"),
        ({"shape": "preference", "output_column": "chosen"}, "says that a row holds something else"),
    ],
)
def test_a_design_says_once_what_a_row_holds(data, why):
    with pytest.raises(ValueError, match=why):
        DataSet.model_validate({"path": "a.json", **data})


def test_both_answers_are_measured_and_a_job_is_told_how_they_are_read():
    content = json.dumps([ROW, ROW | {"rejected": "Not now."}]).encode()
    found = measure(FoundFiles({"a.json": content}), DataSet(path="a.json"), "e", "pairs")
    assert (found.recorded.shape, found.recorded.splits) == ("preference", {"train": 2})
    assert (found.recorded.longest, found.recorded.mean) == ({"train": 14}, {"train": 10.2})
    assert json.loads(found.source or b"")["layout"] == {"shape": "preference"}
    assert DataSet(path="a.json").has_preferences(found.recorded)
    assert found.profile.unused == []


def test_rows_without_a_preference_are_divided_and_chosen_as_before():
    """By digests of ckgit before there were preferences."""
    rows = [Row(f"word{number}", f"WORD{number}") for number in range(8)]
    assert [row.input for row in subset(rows, 3)] == ["word2", "word4", "word6"]
    content = json.dumps([{"input": row.input, "output": row.output} for row in rows]).encode()
    data = DataSet(path="a.json", fractions={"train": 0.5, "test": 0.25})
    records = read(FoundFiles({"a.json": content}), data).records
    found = {split: [row.raw["input"] for row in records.found if row.split == split] for split in ("train", "test")}
    assert found == {"train": ["word0", "word2", "word4", "word5"], "test": ["word3", "word7"]}
