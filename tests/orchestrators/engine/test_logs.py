"""Log lines are lines, and what tools print is read in bounded memory."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ckgit.orchestrators.engine.logs import appended, bounded, last_lines, readable, tail, untimed


def test_lines_are_added_and_never_broken() -> None:
    old = appended(None, [("SUBMIT", "2 jobs")], time="2026-11-23T20:00:00Z")
    new = appended(old, [("DONE", "a\nb\tc")], time="2026-11-23T20:01:00Z")
    assert new.decode() == "2026-11-23T20:00:00Z SUBMIT 2 jobs\n2026-11-23T20:01:00Z DONE a b c\n"
    assert untimed([("END", "5 files")]) == b"END 5 files\n"


@given(st.binary())
def test_whatever_a_tool_printed_becomes_text(content: bytes) -> None:
    text = readable(content)
    assert all(char in "\n\t" or char.isprintable() for char in text)
    last_lines(text, 3)


def test_a_redrawn_line_is_each_of_its_lines() -> None:
    assert last_lines(readable(b"1|1|Loss: 2\r1|2|Loss: 1\x1b[A\r\n\n"), 2) == ["1|1|Loss: 2", "1|2|Loss: 1"]


def test_tail_and_bounded(tmp_path: Path) -> None:
    file = tmp_path / "output"
    assert (tail(file), bounded(file, 10)) == ("", None)
    file.write_bytes(b"a" * 5000 + b"z")
    assert tail(file, 3) == "aaz"
    assert bounded(file, 5001) == b"a" * 5000 + b"z"
    cut = bounded(file, 1000)
    assert cut
    assert len(cut) <= 1000
    assert b"bytes are left out here" in cut
