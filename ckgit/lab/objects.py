"""Reading git objects, many at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.experiment.errors import CkgitError, Exit
from ckgit.lab.git import git

REGULAR = ("100644", "100755")


class Entry(NamedTuple):
    """One entry of a tree."""

    mode: str
    kind: str
    oid: str
    path: str


def read_objects(cwd: Path, names: Sequence[str]) -> Iterator[bytes | None]:
    """Contents of objects by name (an id, or `COMMIT:PATH`), None for each that is not there; one git call for all."""
    if not names:
        return
    if bad := next((name for name in names if "\n" in name), None):
        raise CkgitError(f"{bad!r} holds a line break, which no path in a lab may have", code=Exit.USAGE)
    answer = git(cwd, "cat-file", "--batch", stdin="".join(f"{name}\n" for name in names).encode(errors="surrogateescape"))
    position = 0
    for name in names:
        end = answer.index(b"\n", position)
        header = answer[position:end]
        position = end + 1
        if header.endswith((b" missing", b" ambiguous")):
            yield None
            continue
        _, kind, size = header.rsplit(b" ", 2)
        if kind != b"blob":
            raise CkgitError(f"{name} is a {kind.decode()}, not a file", code=Exit.COMMAND_FAILED, where=str(cwd))
        yield answer[position : position + int(size)]
        position += int(size) + 1


def read_object(cwd: Path, name: str) -> bytes | None:
    """Content of one object, or None when it is not there."""
    return next(read_objects(cwd, [name]))


def tree_entries(cwd: Path, tree: str, *paths: str, recursive: bool = False, trees: bool = False) -> list[Entry]:
    """Entries of a commit's tree (`COMMIT`, or `COMMIT:FOLDER`), of some paths where they are given."""
    options = [*(["-r"] if recursive else []), *(["-t"] if trees else [])]
    listed = git(cwd, "ls-tree", "-z", "--full-tree", *options, tree, "--", *paths).decode(errors="surrogateescape")
    return [_entry(record) for record in listed.split("\0") if record]


def _entry(record: str) -> Entry:
    head, path = record.split("\t", 1)
    mode, kind, oid = head.split(" ")
    return Entry(mode, kind, oid, path)
