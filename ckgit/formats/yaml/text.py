"""Values as YAML text that YAML 1.1 (PyYAML, OmegaConf) and YAML 1.2 read alike."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_WORDS = ("true", "false", "yes", "no", "on", "off", "y", "n", "null")
_KEPT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def scalar(value: Any) -> str:
    """One value: numbers with a point and a signed exponent, text always in double quotes, sequences in brackets."""
    if isinstance(value, str):  # most are
        return quoted(str(value))
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key_text(key)}: {scalar(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(scalar, value)) + "]"
    return quoted(str(value))


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
    plain = text.isprintable() and '"' not in text and "\\" not in text
    return f'"{text}"' if plain else '"' + "".join(map(_char, text)) + '"'


def _char(char: str) -> str:
    if char in _KEPT:
        return _KEPT[char]
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def comment(text: str) -> str:
    """Text that may stand in a comment: on one line, without what cannot be printed."""
    return "".join(char if char.isprintable() else " " for char in text)
