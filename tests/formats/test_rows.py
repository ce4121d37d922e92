"""Rows of data files, as every tool reads them."""

import json

import pytest

from ckgit.formats.rows import DataError, Row, parse_rows


def test_a_line_of_jsonl_ends_at_a_line_feed_and_nowhere_else():
    text = "a\u2028b\u2029c\u0085d\x0b"
    lines = [json.dumps({"input": text, "output": "x"}, ensure_ascii=False), "", '{"input": "y", "output": "z"}']
    expected = {"train": [Row(text, "x"), Row("y", "z")]}
    for end in ("\n", "\r\n"):
        assert parse_rows(end.join([*lines, ""]).encode(), suffix=".jsonl") == expected


@pytest.mark.parametrize(
    ("suffix", "text", "message"),
    [
        (".json", '{"train": [], "test": [], "train": []}', "the key 'train' is in one object twice"),
        (".json", '[{"input": "a", "output": "b", "input": "c"}]', "the key 'input' is in one object twice"),
        (".jsonl", '\n{"input": "a", "output": "b", "output": "b"}', "line 2: the key 'output' is in one object twice"),
    ],
)
def test_a_split_or_column_that_is_there_twice_is_refused(suffix, text, message):
    with pytest.raises(DataError) as caught:
        parse_rows(text.encode(), suffix=suffix)
    assert str(caught.value) == message
