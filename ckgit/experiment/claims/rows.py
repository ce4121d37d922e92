"""Rows by what they ask, whatever the split, the file or the task that has them is called: a small sample of each set. Pure.

A sketch is the smallest digests of a set of rows (bottom-k; Cohen and Kaplan 2007, PODC). As nobody chooses which these are, two sketches
tell how much of the smaller set is in the other one. Where that has r times as many rows, its 256 digests reach to none of a part in
e^(-256/r) of cases, and then nothing tells that it is one: in 50 times as many rows a part is found 99 times in 100, in 100 times as many
92 times, and in 500 times as many 40 times.

Not seen by it: a part of the rows that happens to begin or end alike where the whole does not, and rows of thousands of characters whose
wording is in the task's file. Data and files of tasks, which have digests of their own, tell these.
"""

from __future__ import annotations

import bisect
import functools
import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ckgit.formats.rows import PLACEHOLDER, user_text

ASKED_DIGITS = 6  # of a row's digest, where all rows of a cell are told one by one beside their ids
_DIGITS = 8  # of it in a sketch, and so altogether
_MOST = 256  # digests of a sketch
_LONGEST = 4000  # characters of a row: of a longer one its beginning and its end
_BEYOND = "g" * _DIGITS  # greater than any digest


def without_prompt(text: str, prompt: str) -> str:
    """What a row gives to a message, where the message is this prompt with the row's input in it; else the message."""
    before, *rest = prompt.split(PLACEHOLDER)
    if not rest:
        return text
    length = (len(text) - len(before) - sum(map(len, rest))) // len(rest)
    own = text[len(before) : len(before) + max(length, 0)]
    return own if user_text(own, prompt) == text else text


def shortened(text: str) -> str:
    """As much of a row as a sketch looks at: of a long one its beginning and its end."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} {text[-_LONGEST // 2 :]}"


def sketch_of(asked: Iterable[str]) -> str:
    """A sketch of rows: digests in their order, separated by spaces; empty where all of them ask the same.

    Case, white space and order of rows make no difference, nor do words with which all of them begin or end: these are a task's own.
    """
    found = sorted({_digest(text)[:_DIGITS] for text in _own_words([_folded(shortened(text)) for text in asked])})
    return " ".join(found[:_MOST]) if len(found) > 1 else ""


def asked_digest(text: str) -> str:
    """The beginning of the digest of all that one row asks: whatever other rows there are. Case and white space make no difference."""
    return _digest(_folded(text))[:ASKED_DIGITS]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def same_rows(one: str, other: str) -> bool:
    """Whether two sketches are of the same rows: half of those of the smaller set are in the other one, as far as both samples reach."""
    if not one or not other:
        return False
    left, right = _sampled(one), _sampled(other)
    within = min(left.reach, right.reach)  # what both have is no farther
    smaller = min(bisect.bisect_right(each.ordered, within) for each in (left, right))
    return smaller > 0 and 2 * len(left.digests & right.digests) >= smaller


class _Sample(NamedTuple):
    """A sketch."""

    ordered: Sequence[str]
    digests: frozenset[str]
    reach: str  # up to which digest they are all that there are


@functools.lru_cache(maxsize=2048)
def _sampled(sketch: str) -> _Sample:
    digests = sketch.split(" ")
    return _Sample(digests, frozenset(digests), digests[-1] if len(digests) >= _MOST else _BEYOND)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _own_words(rows: Sequence[str]) -> Sequence[str]:
    """Rows without the words with which all begin, and then without those with which all end."""
    start = functools.reduce(_alike, rows) if rows else ""
    left = [row.removeprefix(start).strip() for row in rows]
    end = functools.reduce(_alike, map(_backwards, left)) if left else ""
    return [_backwards(_backwards(row).removeprefix(end).strip()) for row in left]


def _alike(start: str, row: str) -> str:
    """The words with which a row begins, too."""
    while start and row != start and not row.startswith(f"{start} "):
        start = start.rpartition(" ")[0]
    return start


def _backwards(row: str) -> str:
    return row[::-1]
