"""How many sequences rows of known lengths are packed into: what TRL's best fit decreasing comes to, by these lengths alone. Pure.

The longest row is packed first, each into the sequence with the least room that it still fits in. TRL packs rows in groups, in their order,
and no row of one beside one of another; so how many sequences there are follows from how many rows of a group have which length.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

GROUP = 1000  # rows that TRL packs at a time: as many as `datasets` hands to a function at once, where nobody says how many
Histogram = Mapping[int, int]  # number of rows by their length in tokens


def histograms(lengths: Sequence[int]) -> list[Histogram]:
    """Of each group, from the lengths of rows in order."""
    return [dict(sorted(Counter(lengths[at : at + GROUP]).items())) for at in range(0, len(lengths), GROUP)]


def sequences(groups: Iterable[Histogram], length: int) -> int:
    """How many sequences of at most so many tokens the rows of all groups make; no row is longer."""
    return sum(_sequences(group, length) for group in groups)


def _sequences(rows: Histogram, length: int) -> int:
    found, rooms = 0, list[int]()  # what is left in sequences that are not full, in order
    for tokens in sorted(rows, reverse=True):
        for _ in range(rows[tokens]):
            best = bisect_left(rooms, tokens)
            found += best == len(rooms)
            left = (length if best == len(rooms) else rooms.pop(best)) - tokens
            if left:
                insort(rooms, left)
    return found
