"""Reads the rows of a data set where a job runs: from its one file, or by its `.rows` file from several."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ckgit.formats.rows import DataError, Layout, Row, examples, no_split, read_records
from ckgit.formats.rows.metadata import Scalar, metadata_of
from ckgit.formats.rows.shapes import MadeRow
from ckgit.formats.rows.source import SUFFIX, parse_source


def read_splits(path: Path | str, *, input_column: str = "input", output_column: str = "output") -> dict[str, list[Row]]:
    """Split name to rows, in file order.

    Args:
        path: a data file, or the `.rows` file that design wrote of a data set. The columns are those of a data file.

    Raises:
        DataError: a file is missing, or cannot be read.
    """
    made = _read(path, input_column, output_column)
    splits: dict[str, list[Row]] = {}
    for example in made.examples:
        splits.setdefault(example.raw.split, []).append(example.row)
    return splits


def read_split(path: Path | str, split: str, *, input_column: str = "input", output_column: str = "output") -> list[Row]:
    """The rows of one split, in file order.

    Raises:
        DataError: as `read_splits`, or there is no such split.
    """
    return [row for row, _ in read_with_metadata(path, split, input_column=input_column, output_column=output_column)]


def read_with_metadata(
    path: Path | str, split: str, *, input_column: str = "input", output_column: str = "output"
) -> list[tuple[Row, dict[str, Scalar]]]:
    """The rows of one split, in file order, each with the columns of which it is not made.

    Raises:
        DataError: as `read_split`.
    """
    made = _read(path, input_column, output_column)
    splits = dict.fromkeys(example.raw.split for example in made.examples)
    if split not in splits:
        raise DataError(no_split(str(path), split, splits))
    of_split = [example for example in made.examples if example.raw.split == split]
    known = {*made.layout.used, made.layout.split_column}
    return [(each.row, metadata_of({name: value for name, value in each.raw.raw.items() if name not in known})) for each in of_split]


class _Read(NamedTuple):
    examples: list[MadeRow]
    layout: Layout


def _read(path: Path | str, input_column: str, output_column: str) -> _Read:
    file = Path(path)
    try:
        if file.suffix != SUFFIX:
            layout = Layout(input_column=input_column, output_column=output_column)
            return _Read(examples(read_records(file.read_bytes(), suffix=file.suffix), layout), layout)
        source = parse_source(file.read_bytes(), file.as_posix())
        records = source.records({name: Path(name).read_bytes() for name in source.paths})
        return _Read(examples(records, source.layout), source.layout)
    except (OSError, DataError) as error:
        raise DataError(f"{path}: {error}") from error
