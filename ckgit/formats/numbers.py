"""Numbers and other values as short text: in names of runs, in YAML and in messages."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

MAPPING = "a mapping (key: value)"
_MOST_SHOWN = 60
_MINUTE = 60
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


def shown(value: Any) -> str:
    """A value as a message shows it, cut where it is long."""
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, dict):
        return MAPPING if value else "an empty mapping"
    text = str(value).lower() if isinstance(value, bool) else "null" if value is None else repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."


def clock(seconds: float) -> str:
    """A duration as people read it: 0:07, 12:30, 3:04:05."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def duration(seconds: float) -> str:
    """A duration as people read it: `7 s`, `12:30`, `3:04:05`."""
    return f"{seconds:.0f} s" if seconds < _MINUTE else clock(round(seconds))


def rough_duration(seconds: float) -> str:
    """An estimate of seconds as text: `45 s`, `12 min`, `3.5 h`."""
    for limit, divisor, unit in ((90, 1, "s"), (5400, 60, "min"), (36 * 3600, 3600, "h")):
        if seconds < limit:
            value = seconds / divisor
            return f"{value:.1f} {unit}" if value < 10 and divisor > 1 else f"{value:.0f} {unit}"  # noqa: PLR2004 - two digits say enough
    return f"{seconds / 86400:.1f} d"
