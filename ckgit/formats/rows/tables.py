"""CSV, TSV, Parquet and Arrow as raw rows. Pure; pyarrow is imported where a file of its formats is read, and not before."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ckgit.formats.rows.json_text import split_of
from ckgit.formats.rows.row import DEFAULT_SPLIT, DataError, RawRow, RawRows

PYARROW = "pip install pyarrow"
DICT_FILE, STATE_FILE = "dataset_dict.json", "state.json"  # of a folder that save_to_disk wrote


def separated(text: str, delimiter: str, split_column: str) -> RawRows:
    """A table of text: the first line names the columns, and a row's number is that of its first line.

    Raises:
        DataError: there is no header, a column is there twice, or quotes are not closed.
    """
    csv.field_size_limit(sys.maxsize)  # a field of the default size is 128 KiB at most
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        _check_header(header, delimiter)
        found, start = [], reader.line_num
        for fields in reader:
            if fields:
                raw = _record(header, fields)
                found.append(RawRow(split_of(raw, split_column), start + 1, raw))
            start = reader.line_num
    except csv.Error as error:
        raise DataError(f"line {reader.line_num}: {error}") from None
    return RawRows(found, "line")


def _check_header(header: list[str], delimiter: str) -> None:
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"the column {twice!r} is in its header twice")
    other = next((mark for mark in (";", "\t", ",") if mark != delimiter and len(header) == 1 and mark in header[0]), None)
    if other:
        name = {";": "semicolons", "\t": "tabs; such a file is called .tsv", ",": "commas; such a file is called .csv"}[other]
        raise DataError(f"its first line is one column, {header[0]!r}, which seems to be separated by {name}")


def _record(header: list[str], fields: list[str]) -> Any:
    if len(fields) != len(header):
        return DataError(f"it has {len(fields)} fields, and the header {len(header)}")
    return dict(zip(header, fields, strict=True))


def parquet(content: bytes, split_column: str) -> RawRows:
    """The rows of a Parquet file.

    Raises:
        DataError: pyarrow is not installed, or cannot read it.
    """
    pyarrow, reader = _pyarrow("Parquet", "pyarrow.parquet")
    try:
        rows = reader.read_table(pyarrow.BufferReader(content)).to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(f"not a Parquet file that can be read: {error}") from None
    return RawRows([RawRow(split_of(raw, split_column), number, raw) for number, raw in enumerate(rows)], "row")


def saved_dataset(contents: Mapping[str, bytes], split_column: str) -> RawRows:
    """The rows of a folder that `save_to_disk` of Hugging Face `datasets` wrote: one data set, or several splits.

    Args:
        contents: its files, by path in it.

    Raises:
        DataError: it is none, a file of it is missing, or pyarrow is not installed or cannot read it.
    """
    if DICT_FILE in contents:
        splits = _document(contents, DICT_FILE).get("splits", [])
        found = [RawRow(str(name), n, raw) for name in splits for n, raw in enumerate(_table(contents, f"{name}/"))]
        return RawRows(found, "split")
    if STATE_FILE not in contents:
        raise DataError(f"a folder that save_to_disk of Hugging Face datasets wrote has {DICT_FILE} or {STATE_FILE}; this one has neither")
    named = _document(contents, STATE_FILE).get("_split") or DEFAULT_SPLIT
    rows = _table(contents, "")
    column = any(split_column in raw for raw in rows[:1])
    return RawRows([RawRow(split_of(raw, split_column) if column else str(named), n, raw) for n, raw in enumerate(rows)], "row")


def _table(contents: Mapping[str, bytes], folder: str) -> list[dict[str, Any]]:
    pyarrow, reader = _pyarrow("a folder of Hugging Face datasets", "pyarrow.ipc")
    rows: list[dict[str, Any]] = []
    for one in _document(contents, f"{folder}{STATE_FILE}").get("_data_files", []):
        name = f"{folder}{one['filename']}"
        if name not in contents:
            raise DataError(f"{name} is missing, which {folder}{STATE_FILE} names")
        try:
            with reader.open_stream(pyarrow.BufferReader(contents[name])) as stream:
                rows += stream.read_all().to_pylist()
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise DataError(f"{name} cannot be read as Arrow: {error}") from None
    return rows


def _document(contents: Mapping[str, bytes], name: str) -> dict[str, Any]:
    if name not in contents:
        raise DataError(f"{name} is missing")
    try:
        document = json.loads(contents[name])
    except ValueError as error:
        raise DataError(f"{name} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise DataError(f"{name} is not an object")
    return document


def _pyarrow(what: str, part: str) -> tuple[Any, Any]:
    """pyarrow, and the part of it that reads something."""
    try:
        return import_module("pyarrow"), import_module(part)
    except ImportError:
        raise DataError(f"{what} is read by pyarrow, which is not installed here: {PYARROW}") from None
