"""Reading JSON that anybody may have written, and saying in what two such documents differ."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ckgit.formats.numbers import shown

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAMED = 3  # differences that a reason names


def read_json(content: bytes | str) -> Any:
    """The values of a JSON text.

    Raises:
        ValueError: it is none, or nested so deeply that it cannot be read.
    """
    return _loaded(content)


def read_unique(content: bytes | str) -> Any:
    """The same, of a text that says nothing twice: who reads it otherwise must not be told otherwise.

    Raises:
        ValueError: see `read_json`; or a key is there twice.
    """
    return _loaded(content, _unique)


def _loaded(content: bytes | str, pairs: Callable[[list[tuple[str, Any]]], dict[str, Any]] | None = None) -> Any:
    try:
        return json.loads(content, object_pairs_hook=pairs)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = Counter(key for key, _ in pairs)
    if twice := [key for key, count in keys.items() if count > 1]:
        raise ValueError(f"{twice[0]} is there twice")
    return dict(pairs)


def leaves(document: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of mappings and lists with its dotted place, in order; an empty mapping or list is a value.

    A key that could be taken for something else, as a number or one with a point, is in quotes: other documents have other places.
    """
    if isinstance(document, Mapping | list) and document:
        keys = map(_plain_key, document) if isinstance(document, Mapping) else map(str, range(len(document)))
        values = document.values() if isinstance(document, Mapping) else document
        for key, value in zip(keys, values, strict=True):
            yield from leaves(value, f"{place}.{key}" if place else key)
    else:
        yield place, document


def _plain_key(key: Any) -> str:
    text = str(key)
    return json.dumps(text) if text.isdigit() or not text or "." in text or '"' in text else text


def differing(made: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What of that which decides two results differs, the first few, with both values, which are JSON."""
    names = [name for name in dict.fromkeys([*made, *now]) if made.get(name) != now.get(name)]
    told = [f"{name}: {_short(made.get(name))}, now {_short(now.get(name))}" for name in names[:_NAMED]]
    return "; ".join([*told, *([f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else [])])


def _short(value: str | None) -> str:
    if value is None:
        return "not there"
    plain = json.loads(value)
    return plain[:12] if isinstance(plain, str) and _DIGEST.fullmatch(plain) else shown(plain)
