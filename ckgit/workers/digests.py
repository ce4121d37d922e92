"""Digests of the files of a model folder, and whether they are those that were recorded."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ckgit.experiment.card import FileDigest, is_model_file

_AT_ONCE = 4  # files that are read at the same time; the shards of a large model are many


def digests(folder: Path) -> Mapping[str, FileDigest]:
    """Every file of a folder that loading the model may read, by name. All of it is read.

    Raises:
        OSError: a file cannot be read.
    """
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and is_model_file(file.name)]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return dict(zip((file.name for file in files), threads.map(_digest, files), strict=True))


@functools.cache
def digests_once(folder: Path) -> Mapping[str, FileDigest]:
    """The same, read once in a process: it is checked, loaded and recorded there."""
    return digests(folder)


def differences(folder: Path, found: Mapping[str, FileDigest], wanted: Mapping[str, str]) -> Iterator[str]:
    """Each file that is not as recorded, in a line as `sha256sum --check` writes it, with the reason.

    Args:
        found: as `digests` gives it.
        wanted: SHA-256 in hexadecimal, by name.
    """
    for name in sorted(found.keys() | wanted.keys()):
        if name not in found:
            yield f"{folder / name}: FAILED (it is not there)"
        elif name not in wanted:
            yield f"{folder / name}: FAILED (it was not there when the others were recorded, and would be loaded with them)"
        elif found[name].sha256 != wanted[name]:
            yield f"{folder / name}: FAILED (its SHA-256 is {found[name].sha256[:12]}, recorded was {wanted[name][:12]})"


def _digest(file: Path) -> FileDigest:
    with file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        return FileDigest(sha256=sha256, bytes=stream.tell())
