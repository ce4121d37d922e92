"""The three standard streams: whatever their encoding, and whether they are open or not, what is printed can be read."""

from __future__ import annotations

import codecs
import json
import os
import sys
from typing import Any, TextIO

import click

_PLAIN = {"±": "+/-", "–": "-", "…": "...", "→": "->", "√": "sqrt ", "²": "^2", "“": '"', "”": '"'}  # noqa: RUF001 - characters of ours
_ERRORS = "ckgit.readable"


def prepare() -> None:
    """Make the standard streams take any text: a closed one swallows it, and what an encoding lacks is written out."""
    _open_closed()
    codecs.register_error(_ERRORS, _readable)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors=_ERRORS)  # type: ignore[union-attr]  # a TextIOWrapper, as nothing has replaced it yet
    sys.stdin.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


class Notes:
    """What is told beside a result. Where that is a document, it is kept for it: nothing else is printed then."""

    kept: list[str] | None = None  # None where people read


NOTES = Notes()


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print on standard output, or on standard error.

    The stream is named, as click would otherwise write UTF-8 where the stream says ASCII.
    """
    click.echo(text, file=sys.stderr if err else sys.stdout, nl=nl)


def json_text(document: Any, *, indent: int | None = 2, err: bool = False) -> str:
    """A JSON document for a standard stream, with escapes where that does not take every character."""
    ascii_only = not _takes_all(sys.stderr if err else sys.stdout)
    return json.dumps(document, indent=indent, ensure_ascii=ascii_only, default=str)


def draws(stream: TextIO) -> bool:
    """Whether a stream is a terminal that understands more than text."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def fresh_line() -> None:
    """Begin a line on a terminal that has just echoed Ctrl-C as `^C`."""
    if sys.stderr.isatty():
        say("\r\x1b[K" if draws(sys.stderr) else "\n", err=True, nl=False)


def _open_closed() -> None:
    """Give closed standard streams to the null device; otherwise a file that is opened later would get their number, and the output."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - standard error
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - os takes it so
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor, for as long as we run
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _readable(error: UnicodeError) -> tuple[str | bytes, int]:
    """In place of a character that an encoding lacks: a plain one, or its number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(char) or char.encode("ascii", "backslashreplace").decode() for char in lacking), error.end


def _takes_all(stream: TextIO) -> bool:
    try:
        return codecs.lookup(stream.encoding or "").name.startswith("utf")
    except LookupError:
        return False
