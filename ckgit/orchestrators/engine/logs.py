"""The logs of orchestrators and workers: `2026-11-23T20:00:00Z EVENT text`, added to by commits, never rewritten.

The third level, what the tools print, is collected from the work tree, in bounded memory.
"""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Iterable
from pathlib import Path

from ckgit.formats.times import utc

DESIGN_LOG = "design-experiment.log"
TAIL_BYTES = 65_536
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def now() -> str:
    """The time in UTC, as all of ckgit's files write it."""
    return utc(datetime.datetime.now(datetime.UTC))


def appended(old: bytes | None, lines: Iterable[tuple[str, str]], *, time: str) -> bytes:
    """A log with further lines of (event, text). Line breaks in a text become spaces: a line is a line."""
    text = "".join(f"{time} {event} {' '.join(words.split())}\n" for event, words in lines)
    return (old or b"") + text.encode()


def untimed(lines: Iterable[tuple[str, str]]) -> bytes:
    """A log that is the same whenever it is written, as scaffolding needs it; its time is that of its commit."""
    return "".join(f"{event} {text}\n" for event, text in lines).encode()


def tail(path: Path, size: int = TAIL_BYTES) -> str:
    """The end of what a tool printed, each redrawn line as the lines it showed; empty when there is no such file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            content = file.read(size)
    except FileNotFoundError:
        return ""
    return readable(content)


def readable(content: bytes) -> str:
    """Text of a tool: progress bars return the carriage and start anew, and nothing in it may move the terminal."""
    text = _ESCAPE.sub("", content.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(char for char in text if char in "\n\t" or char.isprintable())


def last_lines(text: str, count: int) -> list[str]:
    """The last lines that are not empty."""
    return [line for line in text.splitlines() if line.strip()][-count:]


def bounded(path: Path, limit: int) -> bytes | None:
    """A tool's whole output, or its beginning and end with a line between that says what is left out; None when there is none."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= limit:
                return file.read(limit)
            half = max(1, (limit - 200) // 2)
            start = file.read(half)
            file.seek(size - half)
            middle = f"\n[ckgit: {size - 2 * half} bytes are left out here; the whole output stays in the work tree]\n"
            return start + middle.encode() + file.read(half)
    except FileNotFoundError:
        return None
