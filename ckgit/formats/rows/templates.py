"""A text made of a row's columns: `{question}`, `{choices[0]}`, `{choices[answer]}`. Pure.

Only columns are substituted: there is no access to attributes, and no formatting. `{{` and `}}` stand for braces.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from ckgit.formats.rows.row import DataError

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}\[\]]+)((?:\[[^{}\[\]]+\])*)\}|[{}]")
_INDEX = re.compile(r"\[([^\[\]]+)\]")
_POSITION = re.compile(r"-?\d+")


class Piece(NamedTuple):
    """A part of a template: literal text, or a column with what is looked up in it."""

    text: str = ""
    column: str = ""
    indexes: tuple[str, ...] = ()


@lru_cache(maxsize=64)
def pieces(template: str) -> tuple[Piece, ...]:
    """The parts of a template, in order.

    Raises:
        DataError: a brace stands alone.
    """
    found, end = [], 0
    for match in _PIECE.finditer(template):
        found.append(Piece(template[end : match.start()]))
        end = match.end()
        if match[0] in ("{{", "}}"):
            found.append(Piece(match[0][0]))
        elif match[1] is None:
            raise DataError(f"{template!r}: a brace stands alone at character {match.start()}; write {match[0] * 2} for a brace itself")
        else:
            found.append(Piece("", match[1].strip(), tuple(_INDEX.findall(match[2]))))
    return tuple(piece for piece in (*found, Piece(template[end:])) if piece != Piece())


def columns_of(template: str) -> list[str]:
    """The columns that a template names, those by which it looks up in others too."""
    found = []
    for piece in pieces(template):
        found += [piece.column, *(index for index in piece.indexes if not _POSITION.fullmatch(index))] if piece.column else []
    return list(dict.fromkeys(found))


def filled(template: str, raw: Mapping[str, Any]) -> str:
    """The template with a row's values in it.

    Raises:
        DataError: there is no such column or place, or it holds no text, number, true or false.
    """
    return "".join(piece.text or text_of(_looked_up(piece, raw), _name(piece)) for piece in pieces(template))


def _name(piece: Piece) -> str:
    return piece.column + "".join(f"[{index}]" for index in piece.indexes)


def _looked_up(piece: Piece, raw: Mapping[str, Any]) -> Any:
    value = _column(raw, piece.column)
    for index in piece.indexes:
        value = _item(value, index, raw, _name(piece))
    return value


def _column(raw: Mapping[str, Any], name: str) -> Any:
    if name not in raw:
        raise DataError(f"no column {name!r} (columns: {', '.join(map(str, raw))})")
    return raw[name]


def _item(value: Any, index: str, raw: Mapping[str, Any], name: str) -> Any:
    if isinstance(value, Mapping) and index in value:
        return value[index]
    if isinstance(value, list):
        position = int(index) if _POSITION.fullmatch(index) else _column(raw, index)
        if isinstance(position, str) and _POSITION.fullmatch(position):
            position = int(position)  # a table of text has its numbers as text
        if isinstance(position, int) and not isinstance(position, bool) and -len(value) <= position < len(value):
            return value[position]
    raise DataError(f"{name} is not there")


def text_of(value: Any, name: str) -> str:
    """A value as text: itself, or of a number and a truth its JSON text.

    Raises:
        DataError: it is something else.
    """
    if isinstance(value, str):
        return value
    if value is None:
        raise DataError(f"column {name!r} is null")
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(f"column {name!r} holds {value}, which is no number")
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise DataError(f"column {name!r} holds {KINDS.get(type(value), f'a {type(value).__name__}')}, not text")


def no_text(raw: Mapping[str, Any], column: str) -> DataError:
    """What to say of a column that holds no text, or is not there."""
    if column in raw and raw[column] is None:
        return DataError(f"column {column!r} is null")
    if column in raw:
        return DataError(f"column {column!r} holds {KINDS.get(type(raw[column]), 'something else')}, not text")
    return DataError(f"no text in column {column!r} (columns: {', '.join(map(str, raw))})")


KINDS = {dict: "an object", list: "a list", bool: "true or false", int: "a number", float: "a number"}
