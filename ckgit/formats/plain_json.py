"""Reading JSON that anybody may have written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any


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
