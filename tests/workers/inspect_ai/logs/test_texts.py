"""What is kept of the texts of a log is bounded, and holds no secret."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ckgit.workers.inspect_ai.logs.texts import LONGEST, ROWS, question_of, texts_of


def sample(at: int, asked: Any = "asked", output: str = "said", epoch: int = 1) -> Any:
    return SimpleNamespace(id=at, epoch=epoch, input=asked, output=SimpleNamespace(completion=output))


def test_only_first_rows_and_first_answers_are_kept_and_cut() -> None:
    found = list(texts_of([*(sample(at, output="x" * 9_000) for at in range(ROWS + 5)), sample(0, epoch=2)]))
    assert len(found) == ROWS
    assert {len(text.output) for text in found} == {LONGEST + 1}


def test_a_conversation_is_told_by_who_says_what() -> None:
    messages = [SimpleNamespace(role="system", text="Be brief."), SimpleNamespace(role="user", text="Hello")]
    assert next(texts_of([sample(1, messages)])).input == "system: Be brief.\nuser: Hello"


@pytest.mark.parametrize(
    ("asked", "choices", "question"),
    [
        ("Spell apple, please", None, "apple"),
        ("apple", ["b", "a"], "apple\na\nb"),  # in whatever order they are offered
        ([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Spell apple, please"}], None, "apple"),
        (
            [
                {"role": "user", "content": "Spell pear, please"},
                {"role": "assistant", "content": "p"},
                {"role": "user", "content": [{"type": "text", "text": "Spell apple, please"}]},
            ],
            None,
            "Spell pear, please\np\napple",
        ),
        ([{"role": "user", "content": [{"type": "image", "image": "attachment://1"}]}], [], '{"image": "attachment://1", "type": "image"}'),
    ],
)
def test_what_a_row_asks_is_without_system_message_and_prompt(asked: Any, choices: Any, question: str) -> None:
    assert question_of({"input": asked, "choices": choices}, "Spell {input}, please") == question


def test_a_secret_is_masked_also_where_it_would_be_cut() -> None:
    token = "ghp_" + "a1B2" * 9
    [found] = texts_of([sample(1, f"{'word ' * 98}{token}", f"it is {token}")])
    assert token not in found.output
    assert "a1B2a1B2" not in found.input + found.output


def test_what_is_no_text_is_kept_as_one() -> None:
    [found] = texts_of([sample(1, output="\ud800")])
    assert found.model_dump_json()
