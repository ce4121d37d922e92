"""The one writer of YAML: values as text that reads back the same.

Files for tools (`scalar`, `block`) have text in quotes and numbers that YAML 1.1 (PyYAML, OmegaConf) and YAML 1.2 take for the same
numbers. Files that people change (`write_yaml`) have text without quotes where no reader takes it for anything else, and 1e-5 as it is.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from ckgit.formats.numbers import short_value
from ckgit.formats.yaml.scalars import AmbiguousError, plain

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_WORDS = ("true", "false", "yes", "no", "on", "off", "y", "n", "null")
_KEPT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
# What ends an unquoted text or makes something else of it; in brackets also a comma and more.
_SPECIAL = re.compile(r"""^[-?:,\[\]{}#&*!|>'"%@` ]|^\.\.\.|: |:$| #| $""")
_SPECIAL_IN_BRACKETS = re.compile(r"[,?:\[\]{}]")

_PLAIN = (str, int, float)  # asked first: what is a Mapping or a Sequence takes Python longer to tell, and of values there are many


class _Style(NamedTuple):
    """How values are written."""

    key: Callable[[str], str]
    text: Callable[[str, bool], str]  # a text, and whether it stands in brackets
    number: Callable[[float], str]
    short_lists: bool  # whether lists of lists and of mappings are written with a line for each item


def scalar(value: Any) -> str:
    """One value for a tool, on one line: numbers with a point and a signed exponent, text in double quotes, sequences in brackets."""
    return quoted(value) if type(value) is str else _inline(value, _FOR_TOOLS)  # most are text


def block(document: Mapping[str, Any]) -> list[str]:
    """A mapping for a tool: a line for each key, and mappings in it indented."""
    return _lines(document, "", _FOR_TOOLS)


def write_yaml(value: Any) -> str:
    """A mapping, or another value, for people. The order of its keys is kept."""
    lines = [_inline(value, _FOR_PEOPLE)] if _fits(value, _FOR_PEOPLE) else _lines(value, "", _FOR_PEOPLE)
    return "".join(f"{line}\n" for line in lines)


@functools.cache
def key_text(key: str) -> str:
    """A key, in quotes where YAML 1.1 takes the word for a truth value or for null."""
    return key if _KEY.fullmatch(key) and key.lower() not in _WORDS else quoted(key)


def number(value: float) -> str:
    """A float: `1.0e-05` (YAML 1.1 takes `1e-05` for text), `0.0003`, `16.0`."""
    if "e" in repr(value):
        mantissa, exponent = format(Decimal(repr(value)).normalize(), "e").split("e")
        return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{int(exponent):+03d}"
    return repr(float(value))


def quoted(text: str) -> str:
    """Text in double quotes; what cannot be printed is escaped."""
    clean = text.isprintable() and '"' not in text and "\\" not in text
    return f'"{text}"' if clean else '"' + "".join(map(_char, text)) + '"'


def comment(text: str) -> str:
    """Text that may stand in a comment: on one line, without what cannot be printed."""
    return "".join(char if char.isprintable() else " " for char in text)


def _inline(value: Any, style: _Style, *, in_brackets: bool = False) -> str:
    if isinstance(value, str):  # most are
        return style.text(str(value), in_brackets)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return style.number(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{style.key(str(key))}: {_inline(item, style, in_brackets=True)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_inline(item, style, in_brackets=True) for item in value) + "]"
    return style.text(str(value), in_brackets)


def _lines(value: Any, indent: str, style: _Style) -> list[str]:
    lines = []
    if isinstance(value, Mapping):
        for key, item in value.items():
            head = f"{indent}{style.key(str(key))}:"
            if _fits(item, style):
                lines.append(f"{head} {_inline(item, style)}")
            else:
                lines += [head, *_lines(item, f"{indent}  ", style)]
        return lines
    for item in value:
        first, *rest = [_inline(item, style)] if _fits(item, style) else _lines(item, f"{indent}  ", style)
        lines += [f"{indent}- {first.lstrip()}", *rest]
    return lines


def _fits(value: Any, style: _Style) -> bool:
    """Whether a value stands on the line of its key."""
    if not value or isinstance(value, _PLAIN) or not isinstance(value, Mapping | Sequence):
        return True
    if isinstance(value, Mapping):
        return False
    return not (style.short_lists and any(isinstance(item, Mapping | Sequence) and not isinstance(item, str) for item in value))


def _clear(text: str, in_brackets: bool) -> str:
    """Text without quotes where every reader takes it for that text."""
    special = _SPECIAL.search(text) or (in_brackets and _SPECIAL_IN_BRACKETS.search(text))
    try:
        clear = not special and text.isprintable() and plain(text) == text
    except AmbiguousError:
        clear = False
    return text if clear else quoted(text)


def _short_number(value: float) -> str:
    """A finite float as text that `plain` reads as the same float: 1e-5, 0.5, 2.0."""
    text = short_value(value)
    return text if "." in text or "e" in text else f"{text}.0"


def _char(char: str) -> str:
    if char in _KEPT:
        return _KEPT[char]
    return char if char.isprintable() else f"\\U{ord(char):08x}"


_FOR_TOOLS = _Style(key_text, lambda text, _: quoted(text), number, short_lists=False)
_FOR_PEOPLE = _Style(lambda key: _clear(key, False), _clear, _short_number, short_lists=True)  # noqa: FBT003
