"""Rows of a data file and the chat messages made from them.

Training, evaluation and the design's measurements all read rows with this module, so that they cannot differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ckgit.formats.file_kinds import ELSEWHERE, foreign
from ckgit.formats.listing import first_of

PLACEHOLDER = "{input}"
DEFAULT_SPLIT = "train"
MOST_NAMED = 20  # rows that one message names
_KINDS = {dict: "an object", list: "a list", bool: "true or false", int: "a number", float: "a number"}


class Row(NamedTuple):
    """One example: what the model is given, and what it should answer."""

    input: str
    output: str


class DataError(ValueError):
    """The bytes are not a data file; the message says which rows and why."""


class _TwiceError(ValueError):
    """An object names a key twice, and readers disagree about which value counts; the message is the key."""


class RawRow(NamedTuple):
    """A row as the file has it."""

    split: str
    number: int  # of its line, counted from 1, or of the row in its list, counted from 0
    raw: Any  # a DataError where the line cannot be read


class RawRows(NamedTuple):
    """All rows of a file, in its order."""

    found: Sequence[RawRow]
    unit: str  # what a row's number counts: a `line`, a `row` of the file, or a row of its `split`

    def where(self, row: RawRow) -> str:
        """A row's place in the file: `line 3`, `row 3`, `train row 3`."""
        return f"{row.split} row {row.number}" if self.unit == "split" else f"{self.unit} {row.number}"


def parse_rows(content: bytes, *, suffix: str, input_column: str = "input", output_column: str = "output") -> dict[str, list[Row]]:
    """Split name to rows, in file order.

    A `.json` file holds an object of splits (`{"train": [...], "test": [...]}`) or one list; a `.jsonl` file holds a row a line.
    A row of a list may name its `split`; otherwise it belongs to `train`.

    Raises:
        DataError: see `read_records` and `rows_of`.
    """
    return rows_of(read_records(content, suffix=suffix), input_column=input_column, output_column=output_column)


def no_split(what: str, split: str, splits: Iterable[str]) -> str:
    """What to say of a split that a data file does not have."""
    known = list(splits)
    shape = f'{{"{DEFAULT_SPLIT}": [...], "{split}": [...]}}'
    form = f'; a file of several splits has the form {shape}, or a "split" in each row' if known == [DEFAULT_SPLIT] else ""
    return f"{what} has no split {split} (splits: {', '.join(known) or 'unknown'}){form}"


def read_records(content: bytes, *, suffix: str) -> RawRows:
    """The rows of a file before their columns are looked at.

    Raises:
        DataError: not a file of text, not UTF-8, not JSON, a split that is there twice, or no rows.
    """
    if kind := foreign(content):
        digest = f": sha256: {kind.sha256}" if kind.sha256 else ""
        raise DataError(f"it is {kind.what}" + (f"; {ELSEWHERE}{digest}" if kind.pointer else ""))
    if suffix not in (".json", ".jsonl"):
        raise DataError(f"{suffix or 'a file without suffix'} is not supported; use .json or .jsonl")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 at byte {error.start}") from None
    records = _lines(text) if suffix == ".jsonl" else _document(text)
    if not records.found:
        raise DataError("the file holds no rows")
    return records


def rows_of(records: RawRows, *, input_column: str = "input", output_column: str = "output") -> dict[str, list[Row]]:
    """Split name to rows, in file order.

    Raises:
        DataError: rows that cannot be read, or have no text in one of the two columns; all of them, up to a limit.
    """
    splits: dict[str, list[Row]] = {}
    bad: list[tuple[str, str]] = []
    for record in records.found:
        try:
            splits.setdefault(record.split, []).append(_row(record.raw, input_column, output_column))
        except DataError as error:
            bad.append((records.where(record), str(error)))
    if bad:
        raise DataError(_bad_rows(bad, len(records.found)))
    return splits


def _bad_rows(bad: Sequence[tuple[str, str]], rows: int) -> str:
    """All bad rows in one message, each with its reason."""
    if len(bad) == 1:
        return ": ".join(bad[0])
    if len(bad) == rows and len({reason for _, reason in bad}) == 1:
        return f"all {rows:,} rows: {bad[0][1]}"
    return f"{len(bad):,} of {rows:,} rows cannot be used:\n{listed([': '.join(one) for one in bad])}"


def listed(texts: Sequence[str], most: int = MOST_NAMED) -> str:
    """The first texts, a line each and indented, and how many more there are."""
    return "\n".join(f"  {text}" for text in first_of(texts, most))


def _lines(text: str) -> RawRows:
    found = []
    for number, line in enumerate(text.split("\n"), start=1):  # other breaks may stand in a row
        if line.strip():
            raw = _line(line)
            found.append(RawRow(_split_of(raw), number, raw))
    if len(found) > 1 and all(isinstance(record.raw, DataError) for record in found) and text.lstrip().startswith(("[", "{")):
        raise DataError("not a JSON value a line; a file that is one JSON document is called .json")
    return RawRows(found, "line")


def _line(line: str) -> Any:
    try:
        return _json(line)
    except DataError as error:
        return error  # the other lines are looked at, too


def _document(text: str) -> RawRows:
    try:
        document = _json(text)
    except DataError as error:
        first, _, rest = text.strip().partition("\n")
        if rest and not isinstance(_line(first), DataError):
            raise DataError("one JSON value a line, and not one JSON document; such a file is called .jsonl") from None
        raise error from None
    if isinstance(document, list):
        return RawRows([RawRow(_split_of(raw), number, raw) for number, raw in enumerate(document)], "row")
    if not isinstance(document, dict) or not all(isinstance(rows, list) for rows in document.values()):
        raise DataError("expected a list of rows, or an object of splits that each hold a list of rows")
    return RawRows([RawRow(split, number, raw) for split, rows in document.items() for number, raw in enumerate(rows)], "split")


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except _TwiceError as error:
        raise DataError(f"the key {error} is in one object twice") from None
    except RecursionError:
        raise DataError("not JSON that can be read: it is nested too deeply") from None
    except ValueError as error:
        raise DataError(f"not JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _TwiceError(repr(next(key for key in made if keys.count(key) > 1)))
    return made


def _split_of(raw: Any) -> str:
    return str(raw.get("split", DEFAULT_SPLIT)) if isinstance(raw, dict) else DEFAULT_SPLIT


def _row(raw: Any, input_column: str, output_column: str) -> Row:
    if isinstance(raw, DataError):
        raise raw
    if not isinstance(raw, dict):
        raise DataError(f"expected an object, found {type(raw).__name__}")
    row = Row(raw.get(input_column), raw.get(output_column))  # type: ignore[arg-type]  # what is no text is refused in the next lines
    if not isinstance(row.input, str):
        raise _no_text(raw, input_column)
    if not isinstance(row.output, str):
        raise _no_text(raw, output_column)
    if not (row.input.isascii() and row.output.isascii()):
        _check_text(row)
    return row


def _no_text(raw: Mapping[str, Any], column: str) -> DataError:
    if column in raw and raw[column] is None:
        return DataError(f"column {column!r} is null")
    if column in raw:
        return DataError(f"column {column!r} holds {_KINDS.get(type(raw[column]), 'something else')}, not text")
    chat = next((name for name in ("messages", "conversations") if isinstance(raw.get(name), list)), None)
    hint = f"; chat rows ({chat}) are not read: write each question and answer as one row of two columns" if chat else ""
    return DataError(f"no text in column {column!r} (columns: {', '.join(map(str, raw))}){hint}")


def _check_text(row: Row) -> None:
    try:
        f"{row.input}{row.output}".encode()
    except UnicodeEncodeError:
        raise DataError("its text holds half of a surrogate pair (\\ud800 to \\udfff), which is no character") from None


def user_text(row_input: str, prompt: str) -> str:
    """The user's message for a row. Only `{input}` is replaced; other braces stand for themselves."""
    return prompt.replace(PLACEHOLDER, row_input)


def messages(row_input: str, *, prompt: str, system_prompt: str) -> list[dict[str, str]]:
    """The chat messages before the answer: an optional system message, and the user's."""
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    return [*system, {"role": "user", "content": user_text(row_input, prompt)}]


def split_sizes(splits: Mapping[str, Sequence[Row]]) -> dict[str, int]:
    """Rows per split."""
    return {split: len(rows) for split, rows in splits.items()}
