"""Raw rows as examples: which columns, or which messages, are what a model is given and should answer. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from ckgit.formats.rows.chat import chat_examples
from ckgit.formats.rows.preferences import (
    CHOSEN,
    CONVERSATIONS,
    INSTRUCTION,
    PROMPT,
    REJECTED,
    instructed,
    preference,
    refuse_no_preference,
)
from ckgit.formats.rows.row import DataError, RawRow, RawRows, Row, bad_rows
from ckgit.formats.rows.templates import columns_of, filled, no_text, text_of


class Shape(StrEnum):
    """How a row holds its example."""

    COLUMNS = "columns"  # one column for the input, one for the output
    TEMPLATE = "template"  # texts made of columns
    ALPACA = "alpaca"  # instruction, input, output
    MESSAGES = "messages"  # a conversation of role and content
    SHAREGPT = "sharegpt"  # a conversation of from and value, in conversations
    PREFERENCE = "preference"  # prompt, chosen, rejected: texts or messages


COLUMN_OF = {Shape.MESSAGES: "messages", Shape.SHAREGPT: "conversations"}
ALPACA_COLUMNS = ("instruction", "input", "output")


class Layout(NamedTuple):
    """How rows become examples, once that is known."""

    shape: Shape = Shape.COLUMNS
    input_column: str = "input"
    output_column: str = "output"
    rejected_column: str = ""  # empty where rows are no preferences
    input: str = ""  # of a template
    output: str = ""
    system: str = ""
    turns: str = "last"  # of a conversation: last or each
    split_column: str = "split"

    @property
    def used(self) -> tuple[str, ...]:
        """The columns that examples are made of."""
        if self.shape is Shape.TEMPLATE:
            made = tuple(name for template in (self.input, self.output, self.system) for name in columns_of(template))
            return (*made, *self._rejected)
        own = {Shape.ALPACA: ALPACA_COLUMNS, Shape.MESSAGES: ("messages", "system"), Shape.SHAREGPT: ("conversations", "system")}
        own |= {Shape.PREFERENCE: (PROMPT, INSTRUCTION, "input", "history", *CONVERSATIONS, CHOSEN, REJECTED, "system")}
        return own.get(self.shape, (self.input_column, self.output_column, *self._rejected))

    @property
    def _rejected(self) -> tuple[str, ...]:
        return (self.rejected_column,) if self.rejected_column else ()


class MadeRow(NamedTuple):
    """A row, and the raw row that it was made of."""

    raw: RawRow
    row: Row


def detected(records: RawRows, layout: Layout) -> Shape:
    """The shape of rows of which nothing was said.

    Raises:
        DataError: they could be read in two ways.
    """
    if not isinstance(records.found[0].raw, dict):
        return Shape.COLUMNS  # whoever reads them says what is wrong
    shared = set.intersection(*(set(record.raw) for record in records.found if isinstance(record.raw, dict)))
    first = records.found[0].raw
    chats = [shape for shape, column in COLUMN_OF.items() if column in shared and isinstance(first[column], list)]
    columns = {layout.input_column, layout.output_column} <= shared
    pairs = [Shape.PREFERENCE] if {CHOSEN, REJECTED} <= shared else []
    if pairs and all(isinstance(first[name], dict) for name in (CHOSEN, REJECTED)):
        return Shape.PREFERENCE  # two messages, to which the conversation beside them is the prompt
    found = [*chats, *pairs, *([Shape.COLUMNS] if columns else [])]
    if len(found) > 1:
        ways = " and ".join(str(shape) for shape in found)
        raise DataError(f"its rows can be read as {ways}; write which in the design: shape: {found[0]}, or shape: {found[1]}")
    usual = (layout.input_column, layout.output_column) == ("input", "output")
    if usual and set(ALPACA_COLUMNS) <= shared:
        return Shape.ALPACA
    return found[0] if found else Shape.COLUMNS


def examples(records: RawRows, layout: Layout) -> list[MadeRow]:
    """Every example with its raw row, in file order.

    Raises:
        DataError: rows that cannot be read or are not of this shape; all of them, up to a limit.
    """
    made: list[MadeRow] = []
    bad: list[tuple[str, str]] = []
    for record in records.found:
        try:
            made += [MadeRow(record, row) for row in _rows(record.raw, layout)]
        except DataError as error:
            bad.append((records.where(record), str(error)))
    if bad:
        raise DataError(bad_rows(bad, len(records.found)))
    return made


def examples_by_row(records: RawRows, layout: Layout) -> dict[int, list[Row]]:
    """The examples of each row, by its number; of one of which none can be made, none."""
    made: dict[int, list[Row]] = {}
    for record in records.found:
        made[record.number] = []
        with contextlib.suppress(DataError):  # which is said where the rows are read
            made[record.number] = list(_rows(record.raw, layout))
    return made


def rows_of(records: RawRows, layout: Layout) -> dict[str, list[Row]]:
    """Split name to rows, in file order.

    Raises:
        DataError: see `examples`.
    """
    splits: dict[str, list[Row]] = {}
    for example in examples(records, layout):
        splits.setdefault(example.raw.split, []).append(example.row)
    return splits


def _rows(raw: Any, layout: Layout) -> list[Row]:
    if isinstance(raw, DataError):
        raise raw
    if not isinstance(raw, dict):
        raise DataError(f"expected an object, found {type(raw).__name__}")
    if layout.shape in COLUMN_OF:
        made = chat_examples(raw, COLUMN_OF[layout.shape], each=layout.turns == "each")
    elif layout.shape is Shape.TEMPLATE:
        texts = [filled(template, raw) for template in (layout.input, layout.output, layout.system)]
        made = [Row(texts[0], texts[1], (), texts[2] or None, _rejected(raw, layout))]
    elif layout.shape is Shape.PREFERENCE:
        made = [preference(raw)]
    elif layout.shape is Shape.ALPACA:
        made = [Row(instructed(raw), _answer(raw, "output"))]
    else:
        answer = _answer(raw, layout.output_column)
        made = [Row(_text(raw, layout.input_column), answer, rejected=_rejected(raw, layout))]
    for row in made:
        _check_text(row)
        if row.rejected is not None:
            refuse_no_preference(row)
    return made


def _rejected(raw: Mapping[str, Any], layout: Layout) -> str | None:
    return _answer(raw, layout.rejected_column) if layout.rejected_column else None


def _text(raw: Mapping[str, Any], column: str) -> str:
    if not isinstance(raw.get(column), str):
        raise no_text(raw, column)
    return str(raw[column])


def _answer(raw: Mapping[str, Any], column: str) -> str:
    """An output: text, or the JSON text of a number or a truth."""
    return text_of(raw[column], column) if isinstance(raw.get(column), bool | int | float) else _text(raw, column)


def _check_text(row: Row) -> None:
    try:
        "".join((row.input, row.output, row.system or "", row.rejected or "", *(turn.content for turn in row.history))).encode()
    except UnicodeEncodeError:
        raise DataError("its text holds half of a surrogate pair (\\ud800 to \\udfff), which is no character") from None
