"""Lists in messages: the first of many, how many more there are, and what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

NAMED = 10  # names in a sentence
LINES = 20  # lines of a message


def first_of(lines: Iterable[str], most: int = LINES, *, more: str = "more") -> list[str]:
    """The first lines of many, and one that counts the others: `and 980 more`."""
    known = list(lines)
    return known if len(known) <= most else [*known[:most], f"and {len(known) - most:,} {more}"]


def in_words(names: Iterable[str], most: int = NAMED) -> str:
    """Names in a sentence: `a, b, c and 997 more`."""
    known = list(names)
    rest = f" and {len(known) - most:,} more" if len(known) > most else ""
    return f"{', '.join(known[:most])}{rest}"


def choose(word: str, known: Iterable[str], *, of: str = "choose one of") -> str:
    """What to do about a name that is not known: the nearest one, and which there are."""
    names = list(dict.fromkeys(known))
    near = nearest(word, names)
    listed = f"{of}: {in_words(names)}" if names else ""
    return "; ".join(filter(None, [f"did you mean {near}?" if near else "", listed]))


def nearest(word: str, known: Iterable[str], *, alike: float = 0.6) -> str | None:
    """The known name that was probably meant, or None.

    Args:
        alike: how alike they have to be, from 0 to 1.
    """
    return next(iter(near_ones(word, known, 1, alike=alike)), None)


def near_ones(word: str, known: Iterable[str], most: int, *, alike: float = 0.6) -> list[str]:
    """The known names that were probably meant, the likeliest first."""
    from difflib import get_close_matches

    lower = {name.lower(): name for name in known}
    return [lower[near] for near in get_close_matches(word.lower(), lower, n=most, cutoff=alike)]


# Control characters, which a terminal obeys; signs that turn the order of a line; and what is no text at all.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def escaped(text: str) -> str:
    """A text of others' on one line, in which nothing is hidden; what a terminal would obey is written out."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


_LISTED = 50  # lines of a message; all jobs are in jobs.json


def plural(count: int, noun: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def listed(lines: Iterable[str], heading: str = "") -> str:
    """A list, cut where it gets too long for a message."""
    items = first_of(lines, _LISTED, more="more (jobs.json has them all)")
    return "\n".join([*([heading] if heading and items else []), *(f"- {item}" for item in items)])


def paragraphs(*parts: str | Sequence[str]) -> str:
    """Paragraphs of a commit's body; empty ones are left out."""
    texts = [part if isinstance(part, str) else "\n".join(part) for part in parts]
    return "\n\n".join(text for text in texts if text)
