"""Rows as CSV, JSON, LaTeX and Parquet, the same in every locale. What samples and names hold steers no spreadsheet and no typesetter."""

from __future__ import annotations

import csv
import datetime
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ckgit.results.asking import AnsweredRows

# What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection), in full width, too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\symbol{34}",  # which every encoding has, and no babel gives a meaning
    "-": "{-}",  # two of them would be a dash
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # at the beginning of a line it would belong to the end of the one before, as a star would
    "*": "{*}",
}
_NUMERIC = re.compile(r"^(BIGINT|INTEGER|HUGEINT|U?(TINY|SMALL|BIG)?INT\w*|DOUBLE|FLOAT|DECIMAL.*)$")


def plain(value: Any) -> Any:
    """A value as JSON has it: moments as ISO 8601 in UTC, and what is no finite number as null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime.datetime):
        return value.isoformat() + ("" if value.tzinfo else "Z")
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def documents(answer: AnsweredRows) -> Iterator[tuple[Any, ...]]:
    """The rows as JSON has them; a column of documents has these, and not their text."""
    are = [kind == "JSON" for kind in answer.kinds]
    for row in answer.rows:
        yield tuple(json.loads(value) if document and value is not None else plain(value) for value, document in zip(row, are, strict=True))


def as_text(value: Any) -> str:
    """A value as text; empty for what is absent."""
    if isinstance(value, str):
        return value
    known = plain(value)
    if known is None:
        return ""
    if isinstance(known, bool | list | dict):
        return json.dumps(known, ensure_ascii=False)
    return repr(known) if isinstance(known, float) else str(known)


def as_csv(answer: AnsweredRows) -> bytes:
    """A table for spreadsheets (RFC 4180): text that one would take for a formula begins with an apostrophe.

    What is a number stays one, also in a column of text, as a parameter's is.
    """
    found = io.StringIO()
    write = csv.writer(found)
    write.writerow([_guarded(name) for name in answer.columns])
    write.writerows([_guarded(as_text(value)) for value in row] for row in answer.rows)
    return found.getvalue().encode(errors="replace")


def _guarded(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def as_json(answer: AnsweredRows) -> bytes:
    """An array with an object for each row."""
    rows = [dict(zip(answer.columns, row, strict=True)) for row in documents(answer)]
    return (json.dumps(rows, indent=1, ensure_ascii=False) + "\n").encode(errors="replace")


def as_latex(answer: AnsweredRows) -> bytes:
    """A tabular for the package booktabs; numbers have four significant digits."""
    sides = ["r" if _NUMERIC.match(kind) else "l" for kind in answer.kinds]
    lines = [rf"\begin{{tabular}}{{{''.join(sides)}}}", r"\toprule", _line(map(latex, answer.columns)), r"\midrule"]
    lines += [_line(map(_cell, row)) for row in answer.rows]
    return ("\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n").encode(errors="replace")


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(value: Any) -> str:
    """A number with a minus where it has one, which is no hyphen."""
    text = short(value)
    return f"$-${latex(text[1:])}" if isinstance(value, int | float) and text.startswith("-") else latex(text)


def latex(text: str) -> str:
    """Text on one line that is typeset as it stands."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return "".join(_LATEX.get(char, char) for char in flat)


def short(value: Any) -> str:
    """A value for people: a number with four significant digits."""
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else ""
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ", timespec="minutes")
    return as_text(value)


def as_parquet(answer: AnsweredRows) -> bytes:
    """A Parquet file; text stays as it is.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [[row[at] for row in answer.rows] for at in range(len(answer.columns))]
    arrays = [_array(pa, column, kind) for column, kind in zip(columns, answer.kinds, strict=True)]
    found = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, names=[*answer.columns]), found)
    return found.getvalue()


def _array(pa: Any, values: Sequence[Any], kind: str) -> Any:
    types = {"VARCHAR": pa.string(), "JSON": pa.string(), "BIGINT": pa.int64(), "DOUBLE": pa.float64(), "BOOLEAN": pa.bool_()}
    types |= {"TIMESTAMP": pa.timestamp("us"), "DATE": pa.date32()}
    if kind in types:
        return pa.array(values, types[kind])
    try:
        return pa.array(values)
    except pa.ArrowException:  # of a kind that Arrow does not know
        return pa.array([None if value is None else as_text(value) for value in values], pa.string())


WRITERS: Mapping[str, Callable[[AnsweredRows], bytes]] = {"csv": as_csv, "json": as_json, "latex": as_latex, "parquet": as_parquet}
