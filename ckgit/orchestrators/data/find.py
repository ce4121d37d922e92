"""The data sets of a design: their files found in the lab or outside of it, read, divided and measured."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.experiment.card import FileDigest, folder_digest
from ckgit.experiment.checks.data_profile import DataProfile, profile_data
from ckgit.experiment.design.data import DataSet, RecordedData
from ckgit.experiment.design.row_files import source_path
from ckgit.formats.rows import DataError, RawRows, Row, Shape, split_sizes
from ckgit.formats.rows.shapes import detected, examples_by_row
from ckgit.formats.rows.source import RowSource
from ckgit.formats.rows.splits import by_fraction
from ckgit.lab.git.objects import REGULAR, read_objects, tree_entries


class FoundFiles(NamedTuple):
    """The bytes of a data set, by path, and the folder that they are of, if it is one."""

    contents: Mapping[str, bytes]
    folder: str = ""

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each file, in order of their paths."""
        return {path: hashlib.sha256(content).hexdigest() for path, content in sorted(self.contents.items())}

    @property
    def sha256(self) -> str:
        """The data set's one digest: its file's, or of several that of what `sha256sum` prints of them, a folder's from within it."""
        digests = self.digests
        if not self.folder and len(digests) == 1:
            return next(iter(digests.values()))
        inside = {path.removeprefix(f"{self.folder}/") if self.folder else path: digest for path, digest in digests.items()}
        return folder_digest({path: FileDigest(sha256=digest, bytes=0) for path, digest in inside.items()})


class ReadData(NamedTuple):
    """The rows of a data set, before examples are made of them."""

    source: RowSource
    records: RawRows
    shape: Shape | None  # what was found out; None where the design says it

    @property
    def columns(self) -> list[str]:
        """All columns, in the order in which they come."""
        return list(dict.fromkeys(str(name) for record in self.records.found if isinstance(record.raw, dict) for name in record.raw))

    @property
    def is_known(self) -> bool:
        """Whether examples can be made of them; otherwise the design has to say which columns are meant."""
        return self.shape is not Shape.COLUMNS or set(self.source.layout.used) <= set(self.columns)

    @property
    def splits(self) -> dict[str, int]:
        """Rows by split."""
        return dict(Counter(record.split for record in self.records.found))


class MeasuredData(NamedTuple):
    """What design found of a data set."""

    recorded: RecordedData
    profile: DataProfile
    source: bytes | None  # of its `.rows` file, where it needs one


def folder_in(root: Path, commit: str, folder: str) -> FoundFiles:
    """The files of a commit's folder.

    Raises:
        DataError: one is no plain file.
    """
    entries = tree_entries(root, commit, f"{folder}/", recursive=True)
    if other := next((entry for entry in entries if entry.mode not in REGULAR), None):
        raise DataError(f"{other.path} is {'a submodule' if other.kind == 'commit' else 'a symbolic link'}, and jobs get plain files only")
    contents = read_objects(root, [entry.oid for entry in entries])
    return FoundFiles({entry.path: content or b"" for entry, content in zip(entries, contents, strict=True)}, folder)


def outside(root: Path, paths: Sequence[str]) -> FoundFiles:
    """Files, or one folder, under the folder of a cluster where data lies.

    Raises:
        OSError: one cannot be read.
    """
    if len(paths) == 1 and (root / paths[0]).is_dir():
        inside = sorted(file for file in (root / paths[0]).rglob("*") if file.is_file())
        return FoundFiles({file.relative_to(root).as_posix(): file.read_bytes() for file in inside}, paths[0])
    return FoundFiles({path: (root / path).read_bytes() for path in paths})


def measure(files: FoundFiles, data_set: DataSet, experiment: str, name: str) -> MeasuredData:
    """Digest, size, and examples per split with the characters of their input and output; and the rows themselves.

    Raises:
        DataError: it is no data set, or could be read in two ways.
    """
    source, records, shape = read(files, data_set)
    profile = profile_data(records, source.layout)
    content = None if source.is_plain else source.dump(source_path(experiment, name))
    return MeasuredData(_recorded(files, profile, shape, content), profile, content)


def read(files: FoundFiles, data_set: DataSet) -> ReadData:
    """The raw rows in their splits, and how they become examples.

    Raises:
        DataError: it is no data set, or could be read in two ways.
    """
    source = RowSource(list(files.contents), files.folder, data_set.files, data_set.layout())
    records = source.records(files.contents)
    shape = None if data_set.is_told else detected(records, source.layout)
    source = source._replace(layout=data_set.layout(shape))
    if data_set.fractions:
        said = {number: [row.said for row in rows] for number, rows in examples_by_row(records, source.layout).items()}
        source = source._replace(ids=by_fraction(records, data_set.fractions, data_set.split_seed, lambda record: said[record.number]))
        records = source.records(files.contents)
    return ReadData(source, records, shape)


def _recorded(files: FoundFiles, profile: DataProfile, shape: Shape | None, source: bytes | None) -> RecordedData:
    lengths = {split: [each for row in rows for each in _characters(row)] for split, rows in profile.rows.items() if rows}
    return RecordedData(
        sha256=files.sha256,
        bytes=sum(map(len, files.contents.values())),
        splits=split_sizes(profile.rows),
        longest={split: max(counts) for split, counts in lengths.items()},
        mean={split: round(sum(counts) / len(counts), 1) for split, counts in lengths.items()},
        files=files.digests if files.folder or len(files.contents) > 1 else {},
        shape=str(shape) if shape and shape is not Shape.COLUMNS else None,
        source=hashlib.sha256(source).hexdigest() if source else None,
    )


def _characters(row: Row) -> list[int]:
    """Of each sequence that it makes: one, or of a preference two."""
    before = len(row.input) + sum(len(turn.content) for turn in row.history) + len(row.system or "")
    return [before + len(answer) for answer in (row.output, row.rejected) if answer is not None]
