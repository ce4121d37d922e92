"""Which run was meant by a name that none has: one of the same values, written otherwise, before one that only looks like it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

from ckgit.formats.listing import in_words, nearest

_PART = re.compile(r"(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)|(?P<word>[a-z]+)")


def instead_of_run(name: str, known: Iterable[str]) -> str:
    """The end of a message on a run that does not exist."""
    names = list(dict.fromkeys(known))
    if meant := _meant(name, names):
        return f"; did you mean {meant}?"
    return f" (the runs are {in_words(names)})" if names else ""


def choose_run(name: str, known: Iterable[str]) -> str:
    """What to do about a run that does not exist: the one that was meant, and which there are."""
    names = list(dict.fromkeys(known))
    meant = _meant(name, names)
    return "; ".join([*([f"did you mean {meant}?"] if meant else []), *([f"name one of: {in_words(names)}"] if names else [])])


def _meant(name: str, names: Sequence[str]) -> str | None:
    given = Counter(_parts(name))
    if same := [each for each in names if Counter(_parts(each)) == given]:
        return same[0]
    # a parameter's whole name where the run's name has a part of it: lora_rank8 for rank8
    if longer := [each for each in names if _numbers(each) == _numbers(name) and Counter(_parts(each)) < given]:
        return longer[0]
    # lr1e-2 looks like lr2e-3 and is another run: a slip is in the letters, never in the numbers
    return nearest(name, [each for each in names if _numbers(each) == _numbers(name)])


def _parts(name: str) -> list[Hashable]:
    """Words and values of a name, whatever their order and the way in which they are written."""
    found = _PART.finditer(name.lower())
    return sorted((float(part["number"]) if part["number"] else part["word"] for part in found), key=str)


def _numbers(name: str) -> list[Hashable]:
    return [part for part in _parts(name) if isinstance(part, float)]
