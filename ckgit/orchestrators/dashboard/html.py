"""Pieces of HTML. Whatever a branch says comes in as text and goes out escaped; no piece has a script."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

STYLE = """
.wide { max-height: none }
th { z-index: 1 }
nav a { margin-right: 1rem }
a { color: var(--mark) }
progress { width: 8rem; height: .8rem; accent-color: var(--mark) }
.quiet { color: var(--quiet) }
.bad { border-left: 4px solid #c0392b }
.number { text-align: right; font-variant-numeric: tabular-nums }
.nowrap { white-space: nowrap }
td > code { white-space: pre-wrap }
article { border-top: 1px solid var(--line); margin-top: 2rem }
footer { margin: 2rem 0; color: var(--quiet); font-size: .9rem }
"""


class Markup(str):
    """HTML already; every other text is escaped."""

    __slots__ = ()


def text(words: object) -> Markup:
    """Text of others' as it stands. What could hide or turn round what is read is written out."""
    if isinstance(words, Markup):
        return words
    plain = "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in str(words))
    return Markup(html.escape(plain))


def tag(name: str, *content: object, **attributes: str | None) -> Markup:
    """An element; attributes are escaped, those that are None left out, and `class_` is `class`."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items() if value is not None)
    return Markup(f"<{name}{given}>{''.join(map(text, content))}</{name}>")


def link(target: str, words: object) -> Markup:
    """A link to another page of the dashboard."""
    return tag("a", words, href=target)


def code(words: str) -> Markup:
    """A command, or a name in a program."""
    return tag("code", words)


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str, numbers: Sequence[str] = ()) -> Markup:
    """A table that scrolls by itself where it is too wide.

    Args:
        caption: what is in it, for those who do not see it.
        numbers: columns that hold numbers.
    """
    kinds = ["number" if name in numbers else None for name in header]
    head = tag("tr", *(tag("th", name, scope="col", class_=kind) for name, kind in zip(header, kinds, strict=True)))
    lines = [tag("tr", *(tag("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True))) for row in rows]
    return tag("div", tag("table", tag("thead", head), tag("tbody", *lines), aria_label=caption), class_="wide", tabindex="0")


def bar(done: int, total: int, words: str) -> Markup:
    """How far something is, as a bar with its words."""
    return tag("progress", words, value=str(done), max=str(max(total, 1)), aria_label=words)


def anchor(heading: str, name: str, words: object) -> Markup:
    """A heading that can be linked to."""
    return tag(heading, words, id=name)


def listing(lines: Iterable[object]) -> Markup:
    """A list of points."""
    return tag("ul", *(tag("li", line) for line in lines))
