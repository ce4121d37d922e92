"""What a file is that was taken for text: a pointer to a file kept elsewhere, an archive, a page, another encoding. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

ELSEWHERE = (
    "commit the file itself, or keep it under data_root of the cluster profile, at a path that the lab does not have, "
    "and write its sha256 into the design"
)


class Foreign(NamedTuple):
    """What a file is, in words."""

    what: str  # e.g. a gzip file; unpack it
    pointer: bool = False  # it stands for a file that is kept elsewhere
    sha256: str = ""  # of that file, where the pointer tells
    suffix: str = ""  # by which a data file of this kind is read


_LFS = re.compile(rb"version https://(?:git-lfs|hawser)\.github\.com/spec/[^\n]*\n(?:.*\n)*?oid sha256:([0-9a-f]{64})")
_ANNEX = re.compile(rb"(?:(?:\.\./)*\.git)?/annex/objects/[^\n]+\s*")
_DVC = re.compile(rb"(?:[a-z_]+: [^\n]*\n)*outs:\n *- ")
_PAGE = re.compile(rb"\s*<(?:!doctype html|html|head|body)\b", re.IGNORECASE)
_BEGINNINGS = (
    (b"\x1f\x8b", "a gzip file; unpack it"),
    (b"PK\x03\x04", "a zip archive (or an .xlsx or .npz file, which are some); unpack it"),
    (b"ARROW1", "an Arrow file; write its rows as Parquet, or as JSON lines"),
    (b"BZh", "a bzip2 file; unpack it"),
    (b"\xfd7zXZ\x00", "an xz file; unpack it"),
    (b"\x28\xb5\x2f\xfd", "a zstd file; unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"),
    (b"SQLite format 3\x00", "an SQLite database; write its rows as JSON lines"),
    (b"\x89HDF", "an HDF5 file; write its rows as JSON lines"),
    (b"%PDF", "a PDF"),
    (b"\xff\xfe", "UTF-16 text; write it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text; write it as UTF-8"),
    (b"\x00\x00\xfe\xff", "UTF-32 text; write it as UTF-8"),
)
_PARQUET = b"PAR1"
_LOOKED_AT = 4096


def foreign(content: bytes) -> Foreign | None:
    """What the bytes are instead of a file of text, and what to do about it; None where nothing is known against them."""
    head = content[:_LOOKED_AT]
    if not content.strip():
        return Foreign("an empty file")
    if pointer := _pointer(head):
        return pointer
    if content.startswith(_PARQUET):
        return Foreign("a Parquet file; give it the suffix .parquet", suffix=".parquet")
    if _PAGE.match(head):
        return Foreign("an HTML page; something answered a download with it")
    found = next((name for beginning, name in _BEGINNINGS if content.startswith(beginning)), None)
    if found is None and b"\x00" in head:
        wide = max(head[1::2].count(0), head[::2].count(0)) > len(head) // 4
        found = "UTF-16 text; write it as UTF-8" if wide else "a binary file"
    return Foreign(found) if found else None


def _pointer(head: bytes) -> Foreign | None:
    if lfs := _LFS.match(head):
        return Foreign("a git-lfs pointer, not the file itself, which git lfs pull fetches", pointer=True, sha256=lfs[1].decode())
    if annexed(head):
        return Foreign("a git-annex pointer, not the file itself, which git annex get fetches", pointer=True)
    if _DVC.match(head):
        return Foreign("a DVC pointer, not the file itself, which dvc pull fetches", pointer=True)
    return None


def annexed(content: bytes) -> bool:
    """Whether these bytes (of a file, or the target of a symbolic link) are git-annex's."""
    return _ANNEX.fullmatch(content) is not None
