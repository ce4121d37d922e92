"""Rows by what they ask, whatever the split, the file or the task that has them is called: a small sample of each set. Pure.

A sketch is the smallest digests of a set of rows (bottom-k; Cohen and Kaplan 2007, PODC). As nobody chooses which these are, two sketches
tell how much of the smaller set is in the other one, also where one has many times as many rows.

Not seen by it: a part of the rows that happens to begin or end alike where the whole does not, and rows of thousands of characters whose
wording is in the task's file. Data and files of tasks, which have digests of their own, tell these.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Sequence

from ckgit.formats.rows import PLACEHOLDER, user_text

ASKED_DIGITS = 6  # of a row's digest, where all rows of a cell are told one by one beside their ids
_DIGITS = 8  # of it in a sketch, and so altogether
_MOST = 64  # digests of a sketch
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
    return sketch_of_digests(digests_of(asked))


def digests_of(asked: Iterable[str]) -> list[str]:
    """Of each row a digest, in their order."""
    return [hashlib.sha256(text.encode(errors="replace")).hexdigest()[:_DIGITS] for text in _own_words([*map(_folded, asked)])]


def sketch_of_digests(digests: Iterable[str]) -> str:
    """The sketch of rows that have these digests."""
    found = sorted({*digests})
    return " ".join(found[:_MOST]) if len(found) > 1 else ""


def same_rows(one: str, other: str) -> bool:
    """Whether two sketches are of the same rows: half of those of the smaller set are in the other one, as far as both samples reach."""
    if not one or not other:
        return False
    (own, reach), (others, far) = _sampled(one), _sampled(other)
    within = min(reach, far)
    left, right = ({digest for digest in each if digest <= within} for each in (own, others))
    smaller = min(len(left), len(right))
    return smaller > 0 and 2 * len(left & right) >= smaller


@functools.lru_cache(maxsize=8192)
def _sampled(sketch: str) -> tuple[frozenset[str], str]:
    """The digests, and up to which one they are all that there are."""
    digests = sketch.split(" ")
    return frozenset(digests), digests[-1] if len(digests) >= _MOST else _BEYOND


def _folded(text: str) -> str:
    return " ".join(shortened(text).casefold().split())


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
