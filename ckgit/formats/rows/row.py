"""A row, raw and as an example, and the chat messages made from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ckgit.formats.listing import first_of

PLACEHOLDER = "{input}"
DEFAULT_SPLIT = "train"
MOST_NAMED = 20  # rows that one message names


class Turn(NamedTuple):
    """What was said before the message that is asked."""

    role: str  # user or assistant
    content: str


class Row(NamedTuple):
    """One example: what the model is given, and what it should answer."""

    input: str
    output: str
    history: tuple[Turn, ...] = ()  # the turns before, as they are sent
    system: str | None = None  # the row's own system message
    rejected: str | None = None  # of a preference: the answer that is worse than the output

    @property
    def said(self) -> tuple[Any, ...]:
        """What digests are made of. A row without a preference has the same as before there were any."""
        return tuple(self) if self.rejected is not None else tuple(self)[:-1]


class DataError(ValueError):
    """The bytes are not a data file; the message says which rows and why."""


class RawRow(NamedTuple):
    """A row as the file has it."""

    split: str
    number: int  # of its line, counted from 1, or of the row in its list, counted from 0
    raw: Any  # a DataError where the line cannot be read


class RawRows(NamedTuple):
    """All rows of a data set, in the order of its files."""

    found: Sequence[RawRow]
    unit: str  # what a row's number counts: a `line`, a `row` of the file, or a row of its `split`

    def where(self, row: RawRow) -> str:
        """A row's place in the file: `line 3`, `row 3`, `train row 3`."""
        return place_in(self.unit, row.split, row.number)


def place_in(unit: str, split: str, number: int) -> str:
    """A row's place, by what its number counts; see `RawRows`."""
    return f"{split} row {number}" if unit == "split" else f"{unit} {number}"


def no_split(what: str, split: str, splits: Iterable[str]) -> str:
    """What to say of a split that a data file does not have."""
    known = list(splits)
    shape = f'{{"{DEFAULT_SPLIT}": [...], "{split}": [...]}}'
    form = f'; a file of several splits has the form {shape}, or a "split" in each row' if known == [DEFAULT_SPLIT] else ""
    return f"{what} has no split {split} (splits: {', '.join(known) or 'unknown'}){form}"


def bad_rows(bad: Sequence[tuple[str, str]], rows: int) -> str:
    """All bad rows in one message, each with its reason."""
    if len(bad) == 1:
        return ": ".join(bad[0])
    if len(bad) == rows and len({reason for _, reason in bad}) == 1:
        return f"all {rows:,} rows: {bad[0][1]}"
    return f"{len(bad):,} of {rows:,} rows cannot be used:\n{listed([': '.join(one) for one in bad])}"


def listed(texts: Sequence[str], most: int = MOST_NAMED) -> str:
    """The first texts, a line each and indented, and how many more there are."""
    return "\n".join(f"  {text}" for text in first_of(texts, most))


def user_text(row_input: str, prompt: str) -> str:
    """The user's message for a row. Only `{input}` is replaced; other braces stand for themselves."""
    return prompt.replace(PLACEHOLDER, row_input)


def messages(row: Row, *, prompt: str, system_prompt: str) -> list[dict[str, str]]:
    """The chat messages before the answer: an optional system message, the turns before, and the user's.

    Raises:
        DataError: the row has a system message, and the design gives another one.
    """
    system = row.system or system_prompt
    if system_prompt and system != system_prompt:
        raise DataError(f"the row has a system message of its own ({row.system!r}), and system_prompt is another one; give one of them")
    first = [{"role": "system", "content": system}] if system else []
    return [*first, *(turn._asdict() for turn in row.history), {"role": "user", "content": user_text(row.input, prompt)}]


def split_sizes(splits: Mapping[str, Sequence[Row]]) -> dict[str, int]:
    """Rows per split."""
    return {split: len(rows) for split, rows in splits.items()}
