"""Markdown tables and numbers as the report and the summary show them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

NOTHING = "–"  # noqa: RUF001 - a dash, where a table has nothing to say
UNDEFINED = "undefined"
_DIGITS_OF_ERROR = 2
_MOST_DECIMALS = 6
_MINUTE = 60
_UNITS = ("B", "KB", "MB", "GB", "TB")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table. Foreign text cannot leave its cell."""
    lines = [header, ["---"] * len(header), *([cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str) -> str:
    """Text on one line that cannot end its cell, nor begin markup of its own."""
    flat = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(flat.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;") or NOTHING


def number(value: float | None) -> str:
    """A number with four significant digits."""
    return NOTHING if value is None else f"{value:.4g}"


def with_error(value: float | None, stderr: float | None) -> str:
    """A value with as many decimals as its standard error's two digits have: `0.940 ± 0.024`; one that is absent is undefined."""
    if value is None:
        return UNDEFINED
    if stderr is None:
        return number(value)
    if stderr == 0:
        return f"{number(value)} ± 0"
    decimals = _DIGITS_OF_ERROR - 1 - math.floor(math.log10(stderr))
    if not 0 <= decimals <= _MOST_DECIMALS:
        return f"{number(value)} ± {stderr:.2g}"
    return f"{value:.{decimals}f} ± {stderr:.{decimals}f}"


def duration(seconds: float) -> str:
    """A duration as people read it: `7 s`, `12:30`, `3:04:05`."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count: float) -> str:
    """Bytes as text: `513 MB`."""
    unit = 0
    while count >= 1000 and unit < len(_UNITS) - 1:  # noqa: PLR2004 - the step between units
        count /= 1000
        unit += 1
    return f"{count:.0f} {_UNITS[unit]}" if count >= 10 or not unit else f"{count:.1f} {_UNITS[unit]}"  # noqa: PLR2004 - two digits say enough
