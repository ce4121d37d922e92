"""Preferences as examples: a prompt, the answer that was chosen, and the one that was rejected. Pure.

Each of the three is a text, or a list of messages. Where no prompt is given, it is what both conversations begin with. LLaMA-Factory has
the prompt in Alpaca's `instruction` and `input`, or in a conversation, to which `chosen` and `rejected` are one message each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ckgit.formats.rows.chat import ASSISTANT, SYSTEM, USER, conversation, one_system, refuse_out_of_turn
from ckgit.formats.rows.row import DataError, Row, Turn
from ckgit.formats.rows.templates import no_text, text_of

PROMPT, CHOSEN, REJECTED = "prompt", "chosen", "rejected"
INSTRUCTION, CONVERSATIONS = "instruction", ("conversations", "messages")


def preference(raw: Mapping[str, Any]) -> Row:
    """The example of a row with `chosen`, `rejected`, and, unless both are conversations, what they answer.

    Raises:
        DataError: they are no two answers to one prompt.
    """
    if any(isinstance(raw.get(name), Mapping) for name in (CHOSEN, REJECTED)):
        return _of_messages(raw)
    if isinstance(raw.get(CHOSEN), list) or isinstance(raw.get(REJECTED), list):
        return _of_conversations(raw)
    if PROMPT not in raw and INSTRUCTION in raw:
        answers = [text_of(_there(raw, name), name) for name in (CHOSEN, REJECTED)]
        return Row(instructed(raw), answers[0], tuple(_history(raw)), one_system(raw, [])[0], answers[1])
    if PROMPT not in raw:
        told = f"write input_column: NAME with output_column: {CHOSEN} and rejected_column: {REJECTED}"
        raise DataError(f"no column {PROMPT!r} says what the two texts answer (columns: {', '.join(map(str, raw))}); {told}")
    answers = [text_of(_there(raw, name), name) for name in (CHOSEN, REJECTED)]
    if isinstance(raw[PROMPT], list):
        *before, asked = _asked(conversation(raw, PROMPT), PROMPT)
        system, history = one_system(raw, before)
        return Row(asked.content, answers[0], tuple(history), system, answers[1])
    return Row(text_of(raw[PROMPT], PROMPT), answers[0], (), one_system(raw, [])[0], answers[1])


def instructed(raw: Mapping[str, Any]) -> str:
    """Alpaca's instruction, and below it, after an empty line, what it is about where there is something.

    Raises:
        DataError: one is no text.
    """
    instruction, about = raw.get(INSTRUCTION), raw.get("input") or ""
    for name, text in ((INSTRUCTION, instruction), ("input", about)):
        if not isinstance(text, str):
            raise no_text(raw, name)
    return f"{instruction}\n\n{about}" if about.strip() else str(instruction)


def _history(raw: Mapping[str, Any]) -> Iterator[Turn]:
    """LLaMA-Factory's earlier instructions, each with its answer."""
    pairs = raw.get("history") or []
    for pair in pairs if isinstance(pairs, list) else [pairs]:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):  # noqa: PLR2004
            raise DataError("column 'history' holds something else than pairs of an instruction and its answer")
        yield from (Turn(USER, pair[0]), Turn(ASSISTANT, pair[1]))


def _of_messages(raw: Mapping[str, Any]) -> Row:
    """A conversation that ends with a user's message, and two messages that answer it."""
    column = next((name for name in (*CONVERSATIONS, PROMPT) if isinstance(raw.get(name), list)), None)
    if column is None:
        raise DataError(f"its answers are messages, and no list of those before them is in {', '.join(CONVERSATIONS)} or {PROMPT}")
    answers = [conversation(raw, name, [_there(raw, name)])[0] for name in (CHOSEN, REJECTED)]
    for name, answer in zip((CHOSEN, REJECTED), answers, strict=True):
        if answer.role != ASSISTANT:
            raise DataError(f"{name} is a message of {answer.role}, and no answer of the assistant")
    *before, asked = _asked(conversation(raw, column), column)
    system, history = one_system(raw, before)
    return Row(asked.content, answers[0].content, tuple(history), system, answers[1].content)


def refuse_no_preference(row: Row) -> None:
    """Refuse a pair of answers of which none is better.

    Raises:
        DataError: one is empty, or they are the same.
    """
    for name, answer in ((CHOSEN, row.output), (REJECTED, row.rejected)):
        if answer is not None and not answer.strip():
            raise DataError(f"its {name} answer is empty, and a preference needs two answers")
    if row.rejected is not None and row.output.strip() == row.rejected.strip():
        raise DataError("its chosen and its rejected answer are the same, so none is preferred")


def _there(raw: Mapping[str, Any], name: str) -> Any:
    if name not in raw:
        raise DataError(f"no column {name!r} (columns: {', '.join(map(str, raw))})")
    return raw[name]


def _of_conversations(raw: Mapping[str, Any]) -> Row:
    given = conversation(raw, PROMPT) if isinstance(raw.get(PROMPT), list) else []
    chosen, rejected = (_whole(_there(raw, name), raw, name, given) for name in (CHOSEN, REJECTED))
    if chosen[:-1] != rejected[:-1]:
        pairs = enumerate(zip(chosen[:-1], rejected[:-1], strict=False), start=1)
        first = next((number for number, (one, other) in pairs if one != other), min(len(chosen), len(rejected)))
        raise DataError(f"chosen and rejected differ from message {first} on, and may do so in their last message only")
    *before, asked = _asked(chosen[:-1], CHOSEN)
    system, history = one_system(raw, before)
    if isinstance(raw.get(PROMPT), str) and raw[PROMPT].strip() not in {turn.content.strip() for turn in (*history[:1], asked)}:
        raise DataError("chosen does not begin with the prompt: no message of its user is that text")
    return Row(asked.content, chosen[-1].content, tuple(history), system, rejected[-1].content)


def _whole(said: Any, raw: Mapping[str, Any], name: str, given: Sequence[Turn]) -> list[Turn]:
    """A conversation up to an answer, whether the column has all of it or what comes after the prompt."""
    if not isinstance(said, list):
        raise DataError(f"column {name!r} holds no list of messages, and the other answer is one")
    turns = conversation(raw, name)
    if turns[-1].role != ASSISTANT:
        raise DataError(f"{name} ends without an answer of the assistant")
    if turns[: len(given)] == list(given):
        return turns
    if len(turns) > 1:
        raise DataError(f"{name} does not begin with the prompt, and is more than an answer to it")
    return [*given, *turns]


def _asked(turns: Sequence[Turn], name: str) -> Sequence[Turn]:
    """What comes before an answer: a system message where there is one, then user and assistant in turn, a user at the end."""
    spoken = turns[1:] if turns and turns[0].role == SYSTEM else turns
    refuse_out_of_turn(spoken, name)
    if not spoken or spoken[-1].role != USER:
        raise DataError(f"{name}: no message of a user comes before the answer")
    return turns
