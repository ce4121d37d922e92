"""JSON and JSON lines as raw rows. Pure."""

from __future__ import annotations

import json
from typing import Any

from ckgit.formats.rows.row import DEFAULT_SPLIT, DataError, RawRow, RawRows


class _TwiceError(ValueError):
    """An object names a key twice, and readers disagree about which value counts; the message is the key."""


def json_lines(text: str, split_column: str) -> RawRows:
    """A row a line. A line that cannot be read is a row that is a DataError.

    Raises:
        DataError: it is one JSON document over several lines.
    """
    found = []
    for number, line in enumerate(text.split("\n"), start=1):  # other breaks may stand in a row
        if line.strip():
            raw = _line(line)
            found.append(RawRow(split_of(raw, split_column), number, raw))
    if len(found) > 1 and all(isinstance(record.raw, DataError) for record in found) and text.lstrip().startswith(("[", "{")):
        raise DataError("not a JSON value a line; a file that is one JSON document is called .json")
    return RawRows(found, "line")


def json_document(text: str, split_column: str) -> RawRows:
    """A list of rows, or an object of splits that each hold one.

    Raises:
        DataError: it is something else, or holds a split or a column twice.
    """
    try:
        document = _json(text)
    except DataError as error:
        first, _, rest = text.strip().partition("\n")
        if rest and not isinstance(_line(first), DataError):
            raise DataError("one JSON value a line, and not one JSON document; such a file is called .jsonl") from None
        raise error from None
    if isinstance(document, list):
        return RawRows([RawRow(split_of(raw, split_column), number, raw) for number, raw in enumerate(document)], "row")
    if not isinstance(document, dict) or not all(isinstance(rows, list) for rows in document.values()):
        raise DataError("expected a list of rows, or an object of splits that each hold a list of rows")
    return RawRows([RawRow(split, number, raw) for split, rows in document.items() for number, raw in enumerate(rows)], "split")


def split_of(raw: Any, split_column: str) -> str:
    """The split that a row names; `train` where it names none."""
    return str(raw.get(split_column, DEFAULT_SPLIT)) if isinstance(raw, dict) else DEFAULT_SPLIT


def _line(line: str) -> Any:
    try:
        return _json(line)
    except DataError as error:
        return error  # the other lines are looked at, too


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except _TwiceError as error:
        raise DataError(f"the key {error} is in one object twice") from None
    except RecursionError:
        raise DataError("not JSON that can be read: it is nested too deeply") from None
    except ValueError as error:
        raise DataError(f"not JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _TwiceError(repr(next(key for key in made if keys.count(key) > 1)))
    return made
