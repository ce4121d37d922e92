"""Numbers and other values as short text: in names of runs, in YAML and in messages."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

_SMALL = 0.01  # a smaller number is written with an exponent: 1e-5


def short_value(value: Any) -> str:
    """A value as it stands in a run's name: `1e-5`, `0.5`, `8`, `true`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        small = 0 < abs(value) < _SMALL
        return format(Decimal(repr(value)).normalize(), "e" if small else "f")
    if isinstance(value, list | tuple):
        return "-".join(short_value(item) for item in value)
    return str(value)
