"""Unquoted YAML values that mean the same to every reader, and the others.

YAML 1.1 (PyYAML, and so OmegaConf) and YAML 1.2 (ruamel) disagree about `no`, `010` or `12:30:00`. A design is read by all of
them, so such values are refused with the way to write them.
"""

from __future__ import annotations

import math
import re

Scalar = str | int | float | bool | None

_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_YES, _NO = {"yes", "on", "y"}, {"no", "off", "n"}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+(\.[0-9_]*)?([eE][-+]?[0-9]+)?")
_UNDERSCORES = re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9][0-9_]*([eE][-+]?[0-9]+)?")
_OTHER_BASE = re.compile(r"[-+]?0(x[0-9a-fA-F_]+|o[0-7_]+|b[01_]+)")
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(:[0-9]{1,2})+(\.[0-9_]*)?")
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9].*")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MOST_SHOWN = 40
_MOST_DIGITS = 18  # what fits into 64 bits, so that every reader keeps the number


class AmbiguousError(ValueError):
    """An unquoted value that readers of YAML take for different things; the message says how to write it."""


def plain(text: str) -> Scalar:
    """The value of an unquoted scalar.

    Raises:
        AmbiguousError: readers disagree about it, or it is no value at all.
    """
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text == "null":
        return None
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _float(text)
    if problem := _problem(text):
        raise AmbiguousError(problem)
    return text


def _integer(text: str) -> int:
    if len(text.lstrip("+-")) > _MOST_DIGITS:
        raise AmbiguousError(f"a whole number has at most {_MOST_DIGITS} digits; quote it if it is text")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise AmbiguousError(f"{_short(text)} is too large for a number")
    return value


def _problem(text: str) -> str | None:
    """Why readers disagree about a text, and how to write what is meant."""
    if not text:
        return "has no value; write one, or remove the key"
    if text == "~" or text.lower() == "null":
        return f"{text} is ambiguous: write null, or remove the key"
    return _word_problem(text) or _number_problem(text)


def _word_problem(text: str) -> str | None:
    quoted = f'"{_short(text)}"'
    if text.lower() in _YES | _NO:
        meant = "true" if text.lower() in _YES else "false"
        return f"{text} is true or false to some readers and text to others: write {meant}, or quote it as {quoted}"
    if _NOT_FINITE.fullmatch(text):
        return f"{text} is not a finite number; quote it if it is text"
    if text in ("=", "<<"):
        return f"{text} has a special meaning to some readers: quote it as {quoted}"
    return None


def _number_problem(text: str) -> str | None:
    quoted = f'"{_short(text)}"'
    if _OTHER_BASE.fullmatch(text) or _LEADING_ZERO.fullmatch(text):
        return f"{_short(text)} is a different number to different readers: write it as {_decimal(text)}, or quote it as {quoted}"
    if _UNDERSCORES.fullmatch(text):
        number = _short(text.replace("_", ""))
        return f"{_short(text)} is a number to some readers and text to others: write it as {number}, or quote it as {quoted}"
    if _BASE_60.fullmatch(text):
        return f"{_short(text)} is a number in base 60 to some readers: quote it as {quoted}"
    if _TIMESTAMP.fullmatch(text):
        return f"{_short(text)} is a time to some readers and text to others: quote it as {quoted}"
    return None


def _decimal(text: str) -> str:
    digits = text.replace("_", "").lower()
    for prefix, base in (("0x", 16), ("0o", 8), ("0b", 2)):
        if prefix in digits:
            return _short(str(int(digits, base))) if len(digits) < 2 * _MOST_DIGITS else "a decimal number"
    sign = "-" if digits.startswith("-") else ""
    stripped = digits.lstrip("+-").lstrip("0")
    return _short(sign + (stripped if stripped[:1].isdigit() else f"0{stripped}"))


def _short(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."
