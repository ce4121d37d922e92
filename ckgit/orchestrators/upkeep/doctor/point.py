"""What a check comes to: a line, how bad it is, and what mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple

from ckgit.lab.lab import Lab


class Level(StrEnum):
    """How bad something is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Point(NamedTuple):
    """One thing that was looked at."""

    text: str
    level: Level = Level.OK
    mend: str = ""


class Check(NamedTuple):
    """A look at one thing."""

    name: str
    look: Callable[[Lab], Iterable[Point]]
    seconds: float = 30.0  # that it may take


def warning(text: str, mend: str) -> Point:
    """Something that should be mended."""
    return Point(text, Level.WARNING, mend)


def error(text: str, mend: str) -> Point:
    """Something with which experiments do not run, or not as they were designed."""
    return Point(text, Level.ERROR, mend)
