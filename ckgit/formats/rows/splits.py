"""Rows chosen by what they say, so that the choice is the same everywhere: splits by fraction, and smaller training sets. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from ckgit.formats.rows.row import DataError, RawRow, RawRows, Row

ID_DIGITS = 16


def row_id(raw: Any) -> str:
    """What a row is called: the first digits of the SHA-256 of its JSON, keys sorted. Rows that are alike share it, wherever they stand."""
    text = json.dumps(raw, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]


def by_fraction(
    records: RawRows, fractions: Mapping[str, float], seed: int, alike: Callable[[RawRow], Any] = lambda record: record.raw
) -> dict[str, list[str]]:
    """Ids of the rows of each split, sorted: rows in the order of the SHA-256 of seed and id, divided in the order of the splits' names.

    Rows that are alike come into one split, so none is trained on and evaluated. Where the fractions are less than 1 together, the
    other rows are in no split.

    Args:
        alike: what a row comes to: those of which it is the same are alike.

    Raises:
        DataError: the file has splits of its own, a row cannot be read, or a split would be empty.
    """
    own = list(dict.fromkeys(record.split for record in records.found))
    if len(own) > 1:
        raise DataError(f"it has splits of its own ({', '.join(own)}), which fractions would mix; leave fractions out, or the splits")
    groups: dict[str, list[str]] = {}
    for record in records.found:
        if not isinstance(record.raw, DataError):
            groups.setdefault(row_id(alike(record)), []).append(row_id(record.raw))
    ordered = sorted(groups, key=lambda one: hashlib.sha256(f"{seed} {one}".encode()).hexdigest())
    places = list(accumulate(len(groups[one]) for one in ordered))
    total, start, made = len(records.found), 0, {}
    named = sorted(fractions)  # the order in which a design writes them is no part of it
    for split, end in zip(named, accumulate(fractions[split] for split in named), strict=True):
        last = sum(place <= round(end * total) for place in places)
        made[split] = sorted({one for group in ordered[start:last] for one in groups[group]})
        start = last
    if empty := [split for split, chosen in made.items() if not chosen]:
        raise DataError(f"its {total:,} rows leave split {empty[0]} without any; give it a larger fraction")
    return made


def divided(records: RawRows, ids: Mapping[str, Iterable[str]]) -> RawRows:
    """Rows in the splits that ids give them; a row whose id is in none is left out."""
    split_of = {one: split for split, chosen in ids.items() for one in chosen}
    found = ((record, split_of.get(row_id(record.raw))) for record in records.found)
    return RawRows([RawRow(split, record.number, record.raw) for record, split in found if split is not None], records.unit)


def subset(rows: Sequence[Row], most: int | None) -> list[Row]:
    """So many of the rows, in their order: those that come first by the SHA-256 of their text.

    A smaller subset is part of each larger one, and of two runs that differ in their seed both have the same.
    """
    if most is None or most >= len(rows):
        return list(rows)
    chosen = sorted(range(len(rows)), key=lambda position: (_digest(rows[position]), position))[:most]
    return [rows[position] for position in sorted(chosen)]


def _digest(row: Row) -> str:
    return hashlib.sha256(json.dumps(row.said, ensure_ascii=True).encode()).hexdigest()
