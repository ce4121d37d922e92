"""Markdown tables and numbers as the report and the summary show them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from functools import partial

NOTHING = "–"  # noqa: RUF001 - a dash, where a table has nothing to say
UNDEFINED = "undefined"
_DIGITS_OF_WIDTH = 2
_NARROW, _LEAST_DECIMALS = 2.0, 3  # a share, and a difference of shares, have three decimals at least
_MOST_DECIMALS = 6
_LARGE = 1e6  # from here on with an exponent
_MARKUP = re.compile(r"[\\`*_\[\]<>|~&$!]")
_LINKED = re.compile(r"@|#|:(?=//)|www(?=\.)|\bGH(?=-\d)", re.IGNORECASE)  # what a forge makes a link or a mention of
_BREAK = "\u200b"  # a space without width keeps it from that
_UNITS = ("B", "KB", "MB", "GB", "TB")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table. Foreign text cannot leave its cell."""
    return table_of_markdown(header, ([cell(text) for text in row] for row in rows))


def table_of_markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already, as `foreign` gives it."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *rows))


def cell(text: str) -> str:
    """Text on one line that cannot end its cell, nor begin markup of its own."""
    flat = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(flat.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;") or NOTHING


def foreign(text: str, most: int = 300) -> str:
    """Text of others' as it stands, on one line: no markup, link, mention or reference comes of it, wherever Markdown is shown.

    Args:
        most: characters; a longer one is cut.
    """
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    cut = flat if len(flat) <= most else f"{flat[:most]}…"
    return _LINKED.sub(f"\\g<0>{_BREAK}", _MARKUP.sub(r"\\\g<0>", cut)) or NOTHING


def number(value: float | None) -> str:
    """A number with four significant digits."""
    return NOTHING if value is None else f"{value:.4g}"


def with_ends(value: float, low: float | None, high: float | None) -> str:
    """A value with the ends of its interval, with as many decimals as half its width has in two digits: `0.540 [0.443, 0.634]`.

    An interval without width is none: it would say that nothing is uncertain.
    """
    if low is None or high is None or not low < high:
        return number(value)
    width = high - low
    decimals = max(_DIGITS_OF_WIDTH - 1 - math.floor(math.log10(width / 2)), _LEAST_DECIMALS if width <= _NARROW else 0)
    shown = number if decimals > _MOST_DECIMALS or abs(value) > _LARGE else partial(_fixed, decimals)
    return f"{shown(value)} [{shown(low)}, {shown(high)}]"


def _fixed(decimals: int, value: float) -> str:
    return f"{round(value, decimals) + 0.0:.{decimals}f}"  # 0.0 makes 0 of -0


def size(count: float) -> str:
    """Bytes as text: `513 MB`."""
    unit = 0
    while count >= 1000 and unit < len(_UNITS) - 1:  # noqa: PLR2004 - the step between units
        count /= 1000
        unit += 1
    return f"{count:.0f} {_UNITS[unit]}" if count >= 10 or not unit else f"{count:.1f} {_UNITS[unit]}"  # noqa: PLR2004 - two digits say enough
