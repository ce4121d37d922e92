"""What a check says of a design: that it is wrong, or that it is probably not meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Remark(NamedTuple):
    """One sentence on one place of a design."""

    path: str  # dotted place in the design; empty for none
    message: str
    wrong: bool = False  # a problem, which must be mended; otherwise a warning


def joined(names: Iterable[str], word: str = "and") -> str:
    """Names in a sentence: `a`, `a and b`, `a, b and 3 others`."""
    known = list(names)
    if len(known) > _MOST_NAMES:
        known = [*known[: _MOST_NAMES - 1], f"{len(known) - _MOST_NAMES + 1:,} others"]
    return f" {word} ".join([", ".join(known[:-1]), known[-1]] if len(known) > 1 else known)


def of_runs(names: Sequence[str]) -> str:
    """The runs that a sentence is about: `run a`, `run a and 2 others`."""
    others = len(names) - 1
    return f"run {names[0]}" + (f" and {others} other{'s' if others > 1 else ''}" if others else "")


_MOST_NAMES = 4
