"""Conversations as examples: `messages` with role and content, ShareGPT's `conversations` with from and value. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ckgit.formats.rows.row import DataError, Row, Turn

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
_ROLES = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT, "human": USER, "gpt": ASSISTANT}


def chat_examples(raw: Mapping[str, Any], column: str, *, each: bool) -> list[Row]:
    """The examples of a conversation: of its last answer, or of each.

    Args:
        raw: the row.
        column: `messages` or `conversations`.
        each: whether every answer is an example; otherwise the last one is, and what was said before is its history.

    Raises:
        DataError: it is no conversation that begins with a user's message and ends with an answer, user and assistant in turn.
    """
    system, turns = one_system(raw, conversation(raw, column))
    refuse_out_of_turn(turns, column)
    if not turns or turns[-1].role != ASSISTANT:
        raise DataError(f"{column} ends without an answer of the assistant, so there is nothing to train")
    answers = range(1, len(turns), 2) if each else [len(turns) - 1]
    return [Row(turns[n - 1].content, turns[n].content, tuple(turns[: n - 1]), system) for n in answers]


def refuse_out_of_turn(turns: Sequence[Turn], column: str) -> None:
    """A user begins, and the assistant answers.

    Raises:
        DataError: they do not take turns.
    """
    for number, turn in enumerate(turns):
        expected = (USER, ASSISTANT)[number % 2]
        if turn.role != expected:
            raise DataError(f"{column}: message {number + 1} is of {turn.role}, where {expected} is expected: they take turns")


def conversation(raw: Mapping[str, Any], column: str, said: Sequence[Any] | None = None) -> list[Turn]:
    """The messages in a column, of which there is one at least.

    Args:
        said: what it holds, where that is no list itself.

    Raises:
        DataError: it holds something else.
    """
    return list(_turns(raw, column, said))


def one_system(raw: Mapping[str, Any], turns: Sequence[Turn]) -> tuple[str | None, Sequence[Turn]]:
    """The one system message of a row, and the turns without it.

    Raises:
        DataError: there are two.
    """
    return _system(raw, turns), turns[1:] if turns and turns[0].role == SYSTEM else turns


def _turns(raw: Mapping[str, Any], column: str, said: Sequence[Any] | None) -> Iterator[Turn]:
    said = said or (raw[column] if isinstance(raw.get(column), list) else ())
    if not said:
        raise DataError(f"column {column!r} holds no list of messages")
    sharegpt = column == "conversations" or (isinstance(said[0], Mapping) and "from" in said[0])
    names = ("from", "value") if sharegpt else ("role", "content")
    for number, one in enumerate(said, start=1):
        role, content = (one.get(name) for name in names) if isinstance(one, Mapping) else (None, None)
        if role not in _ROLES:
            known = "system, human or gpt" if sharegpt else "system, user or assistant"
            raise DataError(f"{column}: message {number} has {names[0]} {role!r}, which is none of {known}")
        if not isinstance(content, str):
            raise DataError(f"{column}: message {number} has no text in {names[1]!r}")
        yield Turn(_ROLES[role], content)


def _system(raw: Mapping[str, Any], turns: Sequence[Turn]) -> str | None:
    """The system message: the first turn, or a column of that name."""
    first = turns[0].content if turns and turns[0].role == SYSTEM else None
    beside = raw.get(SYSTEM)
    if beside is not None and not isinstance(beside, str):
        raise DataError("column 'system' holds no text")
    if first and beside and first != beside:
        raise DataError("its column 'system' and its first message are different system messages")
    return first or beside or None
