"""The columns of a row beside what is asked and answered: scalars alone, and of texts the short ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ckgit.formats.secret_patterns import masked

MOST_COLUMNS = 50
LONGEST = 200  # characters of a text or a name: what is longer says nothing about a group of rows
_LARGEST = 2**63  # no table holds a larger whole number
Scalar = float | int | str | bool | None


def metadata_of(columns: Mapping[Any, Any]) -> dict[str, Scalar]:
    """The first scalars of a row's columns, in their order, without half characters and what looks like a secret."""
    found: dict[str, Scalar] = {}
    for name, value in columns.items():
        text = _plain(str(name))
        if len(found) < MOST_COLUMNS and 0 < len(text) <= LONGEST and _is_scalar(value):
            found[text] = _plain(value) if isinstance(value, str) else value
    return found


def _is_scalar(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < _LARGEST)


def _plain(text: str) -> str:
    return masked(text.encode(errors="replace").decode(), {})
