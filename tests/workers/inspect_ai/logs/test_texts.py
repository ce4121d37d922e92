"""What is kept of the texts of a log is bounded, and holds no secret."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ckgit.workers.inspect_ai.logs.texts import LONGEST, ROWS, texts_of


def sample(at: int, asked: Any = "asked", output: str = "said", epoch: int = 1) -> Any:
    return SimpleNamespace(id=at, epoch=epoch, input=asked, output=SimpleNamespace(completion=output))


def test_only_first_rows_and_first_answers_are_kept_and_cut() -> None:
    found = list(texts_of([*(sample(at, output="x" * 9_000) for at in range(ROWS + 5)), sample(0, epoch=2)]))
    assert len(found) == ROWS
    assert {len(text.output) for text in found} == {LONGEST + 1}


def test_a_conversation_is_told_by_who_says_what() -> None:
    messages = [SimpleNamespace(role="system", text="Be brief."), SimpleNamespace(role="user", text="Hello")]
    assert next(texts_of([sample(1, messages)])).input == "system: Be brief.\nuser: Hello"


def test_a_secret_is_masked_also_where_it_would_be_cut() -> None:
    token = "ghp_" + "a1B2" * 9
    [found] = texts_of([sample(1, f"{'word ' * 98}{token}", f"it is {token}")])
    assert token not in found.output
    assert "a1B2a1B2" not in found.input + found.output


def test_what_is_no_text_is_kept_as_one() -> None:
    [found] = texts_of([sample(1, output="\ud800")])
    assert found.model_dump_json()
