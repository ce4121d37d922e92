"""`NAME.rows`: what a job is told of a data set whose files alone do not say how its rows are read. Pure.

It stands in the experiment's folder, committed by design, and names files by their paths from there. A data set of one file whose
format and columns say all has none.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from ckgit.formats.rows.files import DataFiles, read_files
from ckgit.formats.rows.row import DataError, RawRows
from ckgit.formats.rows.shapes import Layout, Shape
from ckgit.formats.rows.splits import divided

SUFFIX = ".rows"
_VERSION = 1


class RowSource(NamedTuple):
    """Where the rows of a data set are, and how they are read."""

    paths: Sequence[str]
    folder: str = ""  # see `DataFiles`
    splits: Mapping[str, str] = {}
    layout: Layout = Layout()
    ids: Mapping[str, Sequence[str]] = {}  # of each split, where fractions made them

    @property
    def is_plain(self) -> bool:
        """Whether the one path and the names of two columns say all."""
        return self._replace(layout=self.layout._replace(input_column="input", output_column="output")) == RowSource(self.paths)

    def records(self, contents: Mapping[str, bytes]) -> RawRows:
        """The raw rows, in their splits.

        Raises:
            DataError: see `read_files`.
        """
        records = read_files(DataFiles(contents, self.folder, self.splits), split_column=self.layout.split_column)
        return divided(records, self.ids) if self.ids else records

    def dump(self, path: str) -> bytes:
        """The bytes of the file at `path`, which is relative to the lab as the paths are."""
        here = posixpath.dirname(path)

        def seen(name: str) -> str:
            return posixpath.relpath(name, here) if name else ""

        layout = {key: value for key, value in self.layout._asdict().items() if value != Layout._field_defaults[key]}
        document: dict[str, Any] = {
            "ckgit_rows": _VERSION,
            "paths": list(map(seen, self.paths)),
            "folder": seen(self.folder),
            "files": {split: seen(name) for split, name in self.splits.items()},
            "layout": layout,
            "ids": {split: list(ids) for split, ids in self.ids.items()},
        }
        return (json.dumps({key: value for key, value in document.items() if value}, indent=1) + "\n").encode()


def parse_source(content: bytes, path: str) -> RowSource:
    """The file read again; its paths are relative to where `path` is.

    Raises:
        DataError: it cannot be read, or another ckgit wrote it.
    """
    here = PurePosixPath(path).parent

    def seen(name: str) -> str:
        return posixpath.normpath(str(here / name)) if name else ""

    try:
        document = json.loads(content)
        if document["ckgit_rows"] != _VERSION:
            raise DataError(f"{path} is of version {document['ckgit_rows']}, which this ckgit does not know")
        layout = Layout(**document.get("layout", {}))
        return RowSource(
            paths=list(map(seen, document["paths"])),
            folder=seen(document.get("folder", "")),
            splits={split: seen(name) for split, name in document.get("files", {}).items()},
            layout=layout._replace(shape=Shape(layout.shape)),
            ids=document.get("ids", {}),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is damaged ({error})") from None
