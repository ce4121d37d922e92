"""A data file as a design is held against it: its rows, where they stand, and its columns. Pure."""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ckgit.formats.rows import Layout, RawRows, Row, examples
from ckgit.formats.rows.row import place_in

SAMPLE = 1000  # rows whose columns are looked at
# Columns by whose name it is clear that they say something about a row and are no part of it.
_ABOUT = re.compile(
    r"split|(.*_)?(id|ids|idx|index|uid|uuid|guid|key|hash|md5|sha1|sha256)|"
    r"(data_?)?source|dataset|subset|config|(source_?)?(url|link)|licen[cs]e|lang(uage)?|locale|"
    r"date|time(stamp)?|created(_at)?|author|category|categories|topic|subject|tags?|domain|difficulty|level|type|version|model",
    re.IGNORECASE,
)
# Columns by whose name it is clear that they are meant for the model, whatever they hold.
_PARTS = re.compile(
    r"instructions?|questions?|contexts?|prompts?|query|passage|document|article|system(_prompt)?|text"
    r"|history|conversations?|messages|turns",
    re.IGNORECASE,
)
_CODE = re.compile(r"\S*\d\S*|[\W_]*|https?://\S+")  # a number, a date, an identifier, punctuation


class DataProfile(NamedTuple):
    """What a data file holds, by the columns of one data set."""

    rows: Mapping[str, Sequence[Row]]  # by split
    numbers: Mapping[str, Sequence[int]]  # of each row, as the file counts them
    unit: str  # see `RawRows`
    columns: Sequence[str]
    unused: Sequence[str]  # columns of text of which examples are not made
    layout: Layout

    def where(self, split: str, position: int) -> str:
        """A row's place in the file."""
        return place_in(self.unit, split, self.numbers[split][position])


def profile_data(records: RawRows, layout: Layout) -> DataProfile:
    """Look at the rows of a data set.

    Raises:
        DataError: rows of which no examples can be made.
    """
    rows: dict[str, list[Row]] = {}
    numbers: dict[str, array[int]] = {}
    for record, row in examples(records, layout):
        rows.setdefault(record.split, []).append(row)
        numbers.setdefault(record.split, array("L")).append(record.number)
    sample = [record.raw for record in records.found[:: max(1, len(records.found) // SAMPLE)]]
    columns = list(dict.fromkeys(str(name) for raw in sample for name in raw))
    own = layout.used
    unused = [name for name in columns if name not in own and _is_text(name, sample) and not _repeats(name, own, sample)]
    return DataProfile(rows, numbers, records.unit, columns, unused, layout)


def _is_text(name: str, sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a column holds words, or earlier turns, which are lists of them."""
    if _ABOUT.fullmatch(name):
        return False
    values = [raw.get(name) for raw in sample]
    turns = _PARTS.fullmatch(name) and any(isinstance(value, list) and value for value in values)
    return bool(turns) or any(isinstance(value, str) and not _CODE.fullmatch(value.strip()) for value in values)


def _repeats(name: str, own: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a column is the input or the output, in any case, between texts that are the same in all rows: not using it loses nothing."""
    return not _PARTS.fullmatch(name) and any(_around(name, column, sample) for column in own)


def _around(name: str, column: str, sample: Sequence[Mapping[str, Any]]) -> bool:
    seen = set()
    for raw in sample:
        text, part = raw.get(name), str(raw.get(column, "")).strip().casefold()
        if not isinstance(text, str) or not part or part not in text.casefold():
            return False
        before, _, after = text.casefold().partition(part)
        seen.add((before, after))
        if len(seen) > 1:
            return False
    return True
