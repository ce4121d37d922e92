"""Reading git objects, many at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.lab.git.command import GitError, git

REGULAR = ("100644", "100755")
_LINK = "120000"


class Entry(NamedTuple):
    """One entry of a tree."""

    mode: str
    kind: str
    oid: str
    path: str


def read_objects(cwd: Path, names: Sequence[str], *, lenient: bool = False) -> Iterator[bytes | None]:
    """Contents of objects by name (an id, or `COMMIT:PATH`), None for each that is not there; one git call for all.

    Args:
        lenient: whether what is no file, or damaged, counts as not there, as where many branches are read, and one must not keep the
            others from it.
    """
    if not names:
        return
    if bad := next((name for name in names if "\n" in name), None):
        raise CkgitError(f"{bad!r} holds a line break, which no path in a lab may have", code=Exit.USAGE)
    try:
        answer = git(cwd, "cat-file", "--batch", stdin="".join(f"{name}\n" for name in names).encode(errors="surrogateescape"))
    except GitError:  # at a damaged object it stops, and tells of none
        if not lenient:
            raise
        half = len(names) // 2
        for part in (names[:half], names[half:]) if half else ():
            yield from read_objects(cwd, part, lenient=True)
        yield from () if half else (None,)
    else:
        yield from _contents(answer, names, lenient=lenient)


def _contents(answer: bytes, names: Sequence[str], *, lenient: bool) -> Iterator[bytes | None]:
    position = 0
    for name in names:
        end = answer.index(b"\n", position)
        header = answer[position:end]
        position = end + 1
        if header.endswith((b" missing", b" ambiguous")):
            yield None
            continue
        _, kind, size = header.rsplit(b" ", 2)
        if kind != b"blob" and not lenient:
            raise _no_file(name, kind.decode())
        yield answer[position : position + int(size)] if kind == b"blob" else None
        position += int(size) + 1


def first_with(cwd: Path, refs: Sequence[str], path: str) -> tuple[str, str, bytes | None] | None:
    """The first of some refs that there is, its commit, and a file of it, None where it has none; one git call for all."""
    refs = [ref for ref in refs if "\n" not in ref]  # there is none of such a name
    words = "".join(f"info {ref}^{{commit}}\ncontents {ref}:{path}\n" for ref in refs)
    answer, position = git(cwd, "cat-file", "--batch-command", stdin=words.encode(errors="surrogateescape")), 0
    for ref in refs:
        commit, position = _header(answer, position)
        file, position = _header(answer, position)
        content = answer[position : position + int(file[2])] if file else None
        position += len(content) + 1 if content is not None else 0
        if file and file[1] != "blob":
            raise _no_file(f"{commit[0] if commit else ref}:{path}", file[1])
        if commit:
            return ref, commit[0], content
    return None


def _header(answer: bytes, position: int) -> tuple[list[str] | None, int]:
    """Id, kind and size of an object, None where it is missing; and what comes after them."""
    end = answer.index(b"\n", position)
    words = answer[position:end].decode(errors="replace")
    return None if words.endswith((" missing", " ambiguous")) else words.split(" "), end + 1


FOLDER = "a folder"  # what `Files.others` calls one


class Files(NamedTuple):
    """What a commit has at some paths."""

    contents: Mapping[str, bytes]  # of plain files
    others: Mapping[str, str]  # what stands there instead of a plain file, in words: a symbolic link, a folder, a submodule


def read_files(cwd: Path, commit: str, paths: Sequence[str]) -> Files:
    """Files of a commit by path; a path that it does not have is in neither mapping. No link is followed."""
    wanted = set(paths)
    entries = [entry for entry in tree_entries(cwd, commit, *paths, trees=True) if entry.path in wanted] if paths else []
    plain = [entry for entry in entries if entry.mode in REGULAR]
    contents = zip(plain, read_objects(cwd, [entry.oid for entry in plain]), strict=True)
    others = {entry.path: _kind(cwd, entry) for entry in entries if entry.mode not in REGULAR}
    blocking = _blocking(cwd, commit, wanted - {entry.path for entry in entries})
    others |= {path: f"inside {_kind(cwd, parent)} ({parent.path})" for path, parent in blocking.items()}
    return Files({entry.path: content for entry, content in contents if content is not None}, others)


def _kind(cwd: Path, entry: Entry) -> str:
    if entry.kind != "blob":
        return FOLDER if entry.kind == "tree" else "a submodule"
    from ckgit.formats.file_kinds import annexed

    target = read_object(cwd, entry.oid) or b""
    kept = "; git-annex keeps the file itself elsewhere (git annex get fetches it)" if annexed(target) else ""
    return f"a symbolic link to {target.decode(errors='replace')}{kept}"


def _blocking(cwd: Path, commit: str, paths: Collection[str]) -> dict[str, Entry]:
    """The link or submodule that stands where a path needs a folder, by path; of a path that is merely not there, nothing."""
    parents = {path: [parent.as_posix() for parent in PurePosixPath(path).parents][-2::-1] for path in sorted(paths)}
    wanted = sorted({parent for each in parents.values() for parent in each})
    found = {entry.path: entry for entry in tree_entries(cwd, commit, *wanted, trees=True)} if wanted else {}
    stops = {path: entry for path, entry in found.items() if entry.kind == "commit" or entry.mode == _LINK}
    return {path: stops[at] for path, each in parents.items() if (at := next((one for one in each if one in stops), None))}


def _no_file(name: str, kind: str) -> CkgitError:
    commit, _, path = name.partition(":")
    return CkgitError(
        f"{path or name} is a {kind}, not a file",
        code=Exit.EVIDENCE_MISSING,
        where=f"commit {commit[:12]}" if path else "",
        state="nothing was done",
        next=f"git log {commit[:12]} -- {path} shows which commit put it there; revert that one" if path else "name a file",
    )


def read_object(cwd: Path, name: str) -> bytes | None:
    """Content of one object, or None when it is not there."""
    return next(read_objects(cwd, [name]))


def sizes(cwd: Path, names: Sequence[str]) -> dict[str, int]:
    """Bytes of those objects, of some ids, that are there."""
    answer = git(cwd, "cat-file", "--batch-check=%(objectname) %(objectsize)", stdin="".join(f"{name}\n" for name in names).encode())
    found = (line.split(" ") for line in answer.decode().splitlines() if not line.endswith(" missing"))
    return {oid: int(size) for oid, size in found}


def tree_entries(cwd: Path, tree: str, *paths: str, recursive: bool = False, trees: bool = False) -> list[Entry]:
    """Entries of a commit's tree (`COMMIT`, or `COMMIT:FOLDER`), of some paths where they are given."""
    options = [*(["-r"] if recursive else []), *(["-t"] if trees else [])]
    listed = git(cwd, "ls-tree", "-z", "--full-tree", *options, tree, "--", *paths).decode(errors="surrogateescape")
    return [_entry(record) for record in listed.split("\0") if record]


def _entry(record: str) -> Entry:
    head, path = record.split("\t", 1)
    mode, kind, oid = head.split(" ")
    return Entry(mode, kind, oid, path)
