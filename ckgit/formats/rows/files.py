"""Files of a data set as raw rows, by their suffixes. Pure: bytes in, rows out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from ckgit.formats.file_kinds import ELSEWHERE, foreign
from ckgit.formats.rows.json_text import json_document, json_lines
from ckgit.formats.rows.row import DataError, RawRow, RawRows
from ckgit.formats.rows.tables import parquet, saved_dataset, separated

SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".parquet")


class DataFiles(NamedTuple):
    """All bytes of a data set."""

    contents: Mapping[str, bytes]  # of its one file, of the files of its folder, or of a file for each split; by path
    folder: str = ""  # the folder that these are in, where they are a saved data set
    splits: Mapping[str, str] = {}  # path by split, where each has a file of its own


def read_files(files: DataFiles, *, split_column: str = "split") -> RawRows:
    """The rows of a data set before their columns are looked at.

    Raises:
        DataError: a file is not what its name says, or there are no rows.
    """
    if files.splits:
        return _by_split(files)
    if files.folder:
        _check_foreign(files)
        contents = {path.removeprefix(f"{files.folder}/"): content for path, content in files.contents.items()}
        return _unless_empty(saved_dataset(contents, split_column))
    ((path, content),) = files.contents.items()
    return read_records(content, suffix=PurePosixPath(path).suffix, split_column=split_column)


def _by_split(files: DataFiles) -> RawRows:
    found = []
    for split, path in files.splits.items():
        try:
            records = read_records(files.contents[path], suffix=PurePosixPath(path).suffix)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        if records.unit == "split":
            raise DataError(f"{path}: it holds splits of its own, and files gives it to split {split}; name it by path")
        found += [RawRow(split, position, record.raw) for position, record in enumerate(records.found)]
    return RawRows(found, "split")


def _check_foreign(files: DataFiles) -> None:
    """A pointer in a saved folder is told of by its name; whatever else is wrong, the reader tells."""
    for path, content in files.contents.items():
        if (kind := foreign(content)) and kind.pointer:
            raise DataError(f"{path} is {kind.what}; {ELSEWHERE}")


def read_records(content: bytes, *, suffix: str, split_column: str = "split") -> RawRows:
    """The rows of one file before their columns are looked at.

    Raises:
        DataError: not a file of its format, not UTF-8, a split that is there twice, or no rows.
    """
    if (kind := foreign(content)) and kind.suffix != suffix:
        digest = f": sha256: {kind.sha256}" if kind.sha256 else ""
        raise DataError(f"it is {kind.what}" + (f"; {ELSEWHERE}{digest}" if kind.pointer else ""))
    if suffix not in SUFFIXES:
        known = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        raise DataError(f"{suffix or 'a file without suffix'} is not supported; use {known}, or a folder of Hugging Face datasets")
    if suffix == ".parquet":
        return _unless_empty(parquet(content, split_column))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 at byte {error.start}") from None
    if suffix in (".csv", ".tsv"):
        return _unless_empty(separated(text, "," if suffix == ".csv" else "\t", split_column))
    return _unless_empty((json_lines if suffix == ".jsonl" else json_document)(text, split_column))


def _unless_empty(records: RawRows) -> RawRows:
    if not records.found:
        raise DataError("the file holds no rows")
    return records
