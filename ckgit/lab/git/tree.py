"""Writing a tree that differs from a commit's in some files, in one git call and without any index.

Only the folders on the way to a changed file are read, so the cost does not grow with the lab. All new objects go to git
as one pack, which git checks (`--strict`) and flushes once: a thousand scaffolded runs are one file, not ten thousand.
`git fast-import` was tried: it takes twice the time, checks less, and leaves a commit and a ref (docs/architecture.md).
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.lab.git.command import DURABLE, git
from ckgit.lab.git.objects import REGULAR

FOLDER = "40000"
_NO_FILES = {"120000": "a symbolic link", "160000": "a submodule"}
_PACK_TYPES = {"commit": 1, "tree": 2, "blob": 3}
_FAST = 1  # level of zlib at which git itself writes objects: half the time of its default, and a twentieth more bytes
_LOOSE_LIMIT = 100  # git's own fetch keeps a pack from this many objects on


class _Node(NamedTuple):
    mode: str
    oid: str


_Folder = dict[str, _Node]


class NewTree(NamedTuple):
    """A tree to be, and the objects it needs."""

    oid: str
    objects: Mapping[str, tuple[str, bytes]]  # id to type and content


def plan_tree(root: Path, base: str, files: Mapping[str, bytes | None], *, strict_under: str = "") -> NewTree:
    """A commit's tree with files written, or deleted where the content is None.

    Args:
        base: full id of the commit, or of a tree.
        files: contents by path in the lab.
        strict_under: folder in which links and submodules are refused, wherever they are met.

    Raises:
        CkgitError: USAGE, a path is taken by a folder, a file, a link or a submodule.
    """
    length = len(base)
    folders = _read_folders(root, base, sorted(_parents(files)), length)
    objects: dict[str, tuple[str, bytes]] = {}
    for place, folder in folders.items():
        _refuse_links(place, folder, strict_under)
    for path, content in files.items():
        parent, name = _split(path)
        _refuse_taken(path, folders[parent].get(name))
        if content is None:
            folders[parent].pop(name, None)
            continue
        old = folders[parent].get(name)
        oid = _add(objects, "blob", content, length)
        folders[parent][name] = _Node(old.mode if old else REGULAR[0], oid)
    return NewTree(_join(folders, objects, length), objects)


def write_objects(root: Path, objects: Mapping[str, tuple[str, bytes]], length: int) -> None:
    """Hand objects to git, which checks and flushes them."""
    if not objects:
        return
    reader = ["unpack-objects", "-q", "--strict"] if len(objects) < _LOOSE_LIMIT else ["index-pack", "--stdin", "--strict"]
    git(root, *DURABLE, *reader, stdin=b"".join(_pack(objects, length)))


def _split(path: str) -> tuple[str, str]:
    parent, _, name = path.rpartition("/")
    return parent, name


def _parents(paths: Mapping[str, bytes | None]) -> set[str]:
    """Every folder on the way to a path, and the root."""
    found = {""}
    for path in paths:
        parent = _split(path)[0]
        while parent not in found:
            found.add(parent)
            parent = _split(parent)[0]
    return found


def _read_folders(root: Path, base: str, places: list[str], length: int) -> dict[str, _Folder]:
    """The folders that the base has; the others are empty."""
    answer = git(root, "cat-file", "--batch", stdin="".join(f"{base}:{place}\n" for place in places).encode())
    found: dict[str, _Folder] = {}
    position = 0
    for place in places:
        end = answer.index(b"\n", position)
        header = answer[position:end]
        position = end + 1
        if header.endswith(b" missing"):
            found[place] = {}
            continue
        _, kind, size = header.rsplit(b" ", 2)
        if kind != b"tree":
            raise _taken(place, "a file or a link" if kind == b"blob" else f"a {kind.decode()}")
        found[place] = _parse(answer[position : position + int(size)], length // 2)
        position += int(size) + 1
    return found


def _parse(content: bytes, oid_bytes: int) -> _Folder:
    folder: _Folder = {}
    position = 0
    while position < len(content):
        end = content.index(b"\0", position)
        mode, name = content[position:end].split(b" ", 1)
        position = end + 1 + oid_bytes
        folder[name.decode(errors="surrogateescape")] = _Node(mode.decode(), content[end + 1 : position].hex())
    return folder


def _refuse_links(place: str, folder: _Folder, strict_under: str) -> None:
    if not strict_under or not f"{place}/".startswith(f"{strict_under}/"):
        return
    for name, node in folder.items():
        if node.mode in _NO_FILES:
            raise _taken(f"{place}/{name}", _NO_FILES[node.mode])


def _refuse_taken(path: str, node: _Node | None) -> None:
    if node and node.mode not in REGULAR:
        raise _taken(path, _NO_FILES.get(node.mode, "a folder"))


def _taken(path: str, what: str) -> CkgitError:
    return CkgitError(
        f"{path} is {what} in the repository, where ckgit writes plain files and folders only",
        code=Exit.USAGE,
        state="nothing was written",
        next=f"remove or rename {path} on the branch, commit, and try again",
    )


def _join(folders: dict[str, _Folder], objects: dict[str, tuple[str, bytes]], length: int) -> str:
    """Write each folder into its parent, deepest first, and return the root's id."""
    for place in sorted((place for place in folders if place), key=lambda each: -each.count("/")):
        parent, name = _split(place)
        if folders[place]:
            folders[parent][name] = _Node(FOLDER, _add(objects, "tree", _render(folders[place]), length))
        else:
            folders[parent].pop(name, None)
    return _add(objects, "tree", _render(folders[""]), length)


def _render(folder: _Folder) -> bytes:
    def in_git_order(item: tuple[str, _Node]) -> bytes:
        name, node = item
        return (name + "/" if node.mode == FOLDER else name).encode(errors="surrogateescape")

    return b"".join(
        f"{node.mode} {name}\0".encode(errors="surrogateescape") + bytes.fromhex(node.oid)
        for name, node in sorted(folder.items(), key=in_git_order)
    )


def _add(objects: dict[str, tuple[str, bytes]], kind: str, content: bytes, length: int) -> str:
    oid = _hash(length, f"{kind} {len(content)}\0".encode() + content).hex()
    objects[oid] = (kind, content)
    return oid


def _hash(length: int, content: bytes) -> bytes:
    """Git's hash of this repository, told by the length of its ids."""
    return (hashlib.sha256(content) if length == 64 else hashlib.sha1(content, usedforsecurity=False)).digest()  # noqa: PLR2004


def _pack(objects: Mapping[str, tuple[str, bytes]], length: int) -> Iterator[bytes]:
    """A pack of whole objects, as gitformat-pack(5) describes it."""
    digest = hashlib.sha256() if length == 64 else hashlib.sha1(usedforsecurity=False)  # noqa: PLR2004
    header = b"PACK" + struct.pack(">II", 2, len(objects))
    digest.update(header)
    yield header
    for kind, content in objects.values():
        piece = _entry_header(_PACK_TYPES[kind], len(content)) + zlib.compress(content, _FAST)
        digest.update(piece)
        yield piece
    yield digest.digest()


def _entry_header(kind: int, size: int) -> bytes:
    """Type in three bits, size in the other four of the first byte and then in sevens, low bits first."""
    first, size = (kind << 4) | (size & 15), size >> 4
    numbers = [first]
    while size:
        numbers[-1] |= 0x80
        numbers.append(size & 0x7F)
        size >>= 7
    return bytes(numbers)
