"""What must not enter history: secrets, and files that are too large for git."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.formats.listing import first_of
from ckgit.formats.secret_patterns import FoundSecret, find, mask, secret_values, without

MAX_FILE_BYTES = 50_000_000
_MANY = 4_000  # files from which a second process pays


class SecretPlace(NamedTuple):
    """A secret and its place. The value itself is never kept."""

    path: str
    line: int
    rule: str
    masked: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.masked}"


def refuse_unfit(files: Mapping[str, bytes | None]) -> None:
    """Check what is about to be committed.

    Raises:
        CkgitError: USAGE, a file holds a secret or is over 50 MB.
    """
    for path, content in files.items():
        if content is not None and len(content) > MAX_FILE_BYTES:
            raise CkgitError(
                f"{path} has {len(content) / 1e6:.0f} MB; at most {MAX_FILE_BYTES // 1_000_000} MB go into the repository",
                code=Exit.USAGE,
                state="nothing was committed",
                next="keep it in the work tree or under data_root, and commit its SHA-256 instead",
            )
    if findings := find_secrets(files):
        raise CkgitError(
            "\n".join(["a secret must not be committed:", *(f"  {line}" for line in first_of(map(str, findings)))]),
            code=Exit.USAGE,
            state="nothing was committed",
            next="remove it from the file named above (an archive or a log can be deleted: its job then counts as failed, and "
            "`ckgit retry` repeats it), revoke it if others have seen it, and run the same command again",
        )


def find_secrets(files: Mapping[str, bytes | None]) -> list[SecretPlace]:
    """What is certainly a secret in files: well-known forms, and the current values of variables whose names say so."""
    if len(files) < _MANY:
        return _find_secrets(files)
    from ckgit.lab.parallel import in_parallel

    items, half = list(files.items()), len(files) // 2
    parts = [partial(_find_secrets, dict(part)) for part in (items[:half], items[half:])]
    return [finding for found in in_parallel(parts) for finding in found]


def _find_secrets(files: Mapping[str, bytes | None]) -> list[SecretPlace]:
    values = secret_values(os.environ)
    return [
        finding
        for path, content in files.items()
        if content is not None
        for place, part in _parts(path, content)
        for finding in _findings(place, part, find(part, values, certain=True))
    ]


def without_secrets(path: str, content: bytes) -> tuple[bytes, list[SecretPlace]]:
    """A plain file with each secret masked, and what was masked: a tool's log is not worth losing an experiment.

    Args:
        path: how findings name the file.
    """
    hits = find(content, secret_values(os.environ), certain=False)
    return without(content, hits), _findings(path, content, hits)


def _findings(path: str, content: bytes, hits: Sequence[FoundSecret]) -> list[SecretPlace]:
    """Each secret once, where it is first."""
    first: dict[bytes, FoundSecret] = {}
    for hit in hits:
        first.setdefault(content[hit.start : hit.end], hit)
    return [SecretPlace(path, content.count(b"\n", 0, hit.start) + 1, hit.rule, mask(value)) for value, hit in first.items()]


def _parts(path: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """The file itself, and what is packed in it: an .eval log is a zip archive."""
    yield path, content
    if not content.startswith(b"PK\x03\x04"):
        return
    with contextlib.suppress(ImportError):  # inspect packs with Zstandard, and brings what teaches it to Pythons before 3.14
        importlib.import_module("zipfile_zstd")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield f"{path}!{name}", archive.read(name)
    except Exception as error:  # each compression has an error of its own
        raise CkgitError(
            f"the archive cannot be searched for secrets: {error}",
            code=Exit.USAGE,
            where=path,
            state="nothing was committed",
            next="make it whole or delete it where it was made, then run the same command again; "
            "one that is packed with Zstandard needs pip install 'ckgit[run]'",
        ) from error
