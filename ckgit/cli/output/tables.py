"""Columns of text. On a terminal a table is as wide as that: cells are broken into lines, or each row is told line by line."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import zip_longest

_GAP = "  "
_LEAST = 8  # columns that a cell is never made narrower than
_WORD = 24  # a longer word is broken
_EMPTY = {"", "–"}  # noqa: RUF001 - as `NOTHING` of formats.markdown, which `status` has no time to import


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, less: Sequence[str] = ()) -> str:
    """Left-aligned columns; control characters of foreign text are shown, never sent to the terminal.

    Args:
        less: columns that are left out first where not all fit, in this order.
    """
    lines = [[printable(cell) for cell in row] for row in (header, *rows)]
    room = room_of_terminal()
    return "\n".join(_columns(lines, _widths(lines))) if room is None else "\n".join(_within(lines, room, [*less]))


def wrapped(text: str, hang: int = 0) -> str:
    """Prose; on a terminal its lines end between words, and all but the first are indented."""
    room = room_of_terminal()
    if room is None or len(text) <= room:
        return text
    import textwrap

    indent = " " * min(hang, room // 2)
    return textwrap.fill(text, room, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def printable(text: str) -> str:
    """`text` on one line, with every character that could steer a terminal written out."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def room_of_terminal() -> int | None:
    """Columns of the terminal; None where there is none."""
    if not sys.stdout.isatty():
        return None
    import shutil  # which brings what packs archives, 2 ms

    return shutil.get_terminal_size().columns


def _within(lines: Sequence[Sequence[str]], room: int, less: Sequence[str]) -> list[str]:
    """The table in so many columns of a terminal."""
    natural = _widths(lines)
    if _total(natural) <= room or len(lines) == 1:
        return _columns(lines, natural)
    filled = [column for column in zip(*lines, strict=True) if {*column[1:]} - _EMPTY]
    if len(filled) < len(natural):
        return _within([*zip(*filled, strict=True)], room, less)
    if found := next((name for name in less if name in lines[0]), ""):
        at = [*lines[0]].index(found)
        return _within([[*line[:at], *line[at + 1 :]] for line in lines], room, less)
    widths = _narrowed(lines, natural, room)
    return _columns(lines, widths) if widths else _records(lines, room)


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*lines, strict=True)]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _narrowed(lines: Sequence[Sequence[str]], natural: Sequence[int], room: int) -> list[int]:
    """Widths that fit, the widest column made narrower first; none where words would have to be broken."""
    columns = zip(natural, zip(*lines, strict=True), strict=True)
    least = [min(width, max(_LEAST, *(_longest_word(cell) for cell in column))) for width, column in columns]
    widths = [*natural]
    while _total(widths) > room:
        wide = [at for at in range(len(widths)) if widths[at] > least[at]]
        if not wide:
            return []
        widths[max(wide, key=widths.__getitem__)] -= 1
    return widths


def _longest_word(cell: str) -> int:
    return max((min(len(word), _WORD) for word in cell.split()), default=0)


def _columns(lines: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    """Each line; one with a cell that is wider than its column goes on below."""
    found: list[str] = []
    for line in lines:
        cells = [_wrapped(cell, width) for cell, width in zip(line, widths, strict=True)]
        found += [_GAP.join(map(str.ljust, parts, widths)).rstrip() for parts in zip_longest(*cells, fillvalue="")]
    return found


def _wrapped(text: str, width: int) -> list[str]:
    if len(text) <= width:
        return [text]
    import textwrap

    return textwrap.wrap(text, width, break_on_hyphens=False)


def _records(lines: Sequence[Sequence[str]], room: int) -> list[str]:
    """Each row with a line for each of its cells, for a terminal that is too narrow for columns."""
    header, *rows = lines
    wide = max(map(len, header))
    found: list[str] = []
    for row in rows:
        found += [""] if found else []
        for name, cell in zip(header, row, strict=True):
            first, *rest = _wrapped(cell, max(room - wide - len(_GAP), _LEAST)) or [""]
            found += [f"{name.ljust(wide)}{_GAP}{first}".rstrip(), *(" " * (wide + len(_GAP)) + part for part in rest)] if cell else []
    return found
