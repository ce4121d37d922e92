"""Rows of a data file and the chat messages made from them.

Training, evaluation and the design's measurements all read rows with this module, so that they cannot differ.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

PLACEHOLDER = "{input}"
DEFAULT_SPLIT = "train"


class Row(NamedTuple):
    """One example: what the model is given, and what it should answer."""

    input: str
    output: str


class DataError(ValueError):
    """The bytes are not a data file; the message says which row and why."""


class _TwiceError(ValueError):
    """An object names a key twice, and readers disagree about which value counts; the message is the key."""


def parse_rows(content: bytes, *, suffix: str, input_column: str = "input", output_column: str = "output") -> dict[str, list[Row]]:
    """Split name to rows, in file order.

    A `.json` file holds an object of splits (`{"train": [...], "test": [...]}`) or one list; a `.jsonl` file holds a row a line.
    A row of a list may name its `split`; otherwise it belongs to `train`.

    Raises:
        DataError: not UTF-8, not JSON, a split or column that is there twice, no rows, or a row without text in one of the two columns.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 at byte {error.start}") from None
    splits: dict[str, list[Row]] = {}
    for where, split, raw in _records(text, suffix):
        splits.setdefault(split, []).append(_row(raw, where, input_column, output_column))
    if not splits:
        raise DataError("the file holds no rows")
    return splits


def _records(text: str, suffix: str) -> list[tuple[str, str, Any]]:
    if suffix == ".jsonl":
        lines = [(n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]  # other breaks may stand in a row
        return [_listed(f"line {n}", _json(line, f"line {n}: ")) for n, line in lines]
    if suffix != ".json":
        raise DataError(f"{suffix or 'a file without suffix'} is not supported; use .json or .jsonl")
    document = _json(text, "")
    if isinstance(document, list):
        return [_listed(f"row {n}", raw) for n, raw in enumerate(document)]
    if not isinstance(document, dict) or not all(isinstance(rows, list) for rows in document.values()):
        raise DataError("expected a list of rows, or an object of splits that each hold a list of rows")
    return [(f"{split} row {n}", split, raw) for split, rows in document.items() for n, raw in enumerate(rows)]


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}not JSON: {error}") from None
    except _TwiceError as error:
        raise DataError(f"{where}the key {error} is in one object twice") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _TwiceError(repr(next(key for key in made if keys.count(key) > 1)))
    return made


def _listed(where: str, raw: Any) -> tuple[str, str, Any]:
    split = raw.get("split", DEFAULT_SPLIT) if isinstance(raw, dict) else DEFAULT_SPLIT
    return where, str(split), raw


def _row(raw: Any, where: str, input_column: str, output_column: str) -> Row:
    if not isinstance(raw, dict):
        raise DataError(f"{where}: expected an object, found {type(raw).__name__}")
    for column in (input_column, output_column):
        if not isinstance(raw.get(column), str):
            raise DataError(f"{where}: no text in column {column!r} (columns: {', '.join(map(str, raw))})")
    return Row(raw[input_column], raw[output_column])


def user_text(row_input: str, prompt: str) -> str:
    """The user's message for a row. Only `{input}` is replaced; other braces stand for themselves."""
    return prompt.replace(PLACEHOLDER, row_input)


def messages(row_input: str, *, prompt: str, system_prompt: str) -> list[dict[str, str]]:
    """The chat messages before the answer: an optional system message, and the user's."""
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    return [*system, {"role": "user", "content": user_text(row_input, prompt)}]


def split_sizes(splits: Mapping[str, Sequence[Row]]) -> dict[str, int]:
    """Rows per split."""
    return {split: len(rows) for split, rows in splits.items()}
