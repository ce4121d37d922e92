"""Looking at the checkouts of a branch. Nothing here writes."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ckgit.lab.git.command import OWN_PROGRAMS, git, git_lines, git_text
from ckgit.lab.git.objects import read_objects

_UNDER_WAY = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
}


class Branch(NamedTuple):
    """A branch of a repository."""

    root: Path  # any checkout of the repository
    git_dir: Path  # the repository itself, shared by all its worktrees
    name: str  # e.g. exp/cap_lora

    @property
    def ref(self) -> str:
        """Full name, which git cannot take for anything else."""
        return f"refs/heads/{self.name}"

    def tip(self) -> str:
        """The commit it points to now; empty when there is no such branch."""
        return git_text(self.root, "for-each-ref", "--format=%(objectname)", self.ref)


class FileVersion(NamedTuple):
    """A file in a tree."""

    mode: str
    oid: str


class FileChange(NamedTuple):
    """A file that differs between two commits; a side is None where there is no file."""

    old: FileVersion | None
    new: FileVersion | None


def checkouts(branch: Branch) -> list[Path]:
    """Worktrees that have a branch checked out."""
    places: list[Path] = []
    for record in git(branch.root, "worktree", "list", "--porcelain", "-z").decode(errors="surrogateescape").split("\0\0"):
        lines = record.strip("\0").split("\0")
        if f"branch {branch.ref}" in lines:
            places.append(Path(lines[0].removeprefix("worktree ")))
    return [place for place in places if place.is_dir()]


def moving(branch: Branch, commit: str, by: str = "reset --keep") -> str:
    """A shell line that moves or makes a branch. One that is checked out, git moves there only.

    Args:
        by: git's command in a checkout, which loses no change of the user's.
    """
    places = checkouts(branch)
    if places:
        return f"git -C {shlex.quote(str(places[0]))} {by} {commit[:12]}"
    return f"git branch {'-f ' if branch.tip() else ''}{branch.name} {commit[:12]}"


def changes_between(root: Path, old: str, new: str) -> dict[str, FileChange]:
    """Files that differ between two commits, by path."""
    fields = git_lines(root, "diff-tree", "-r", "-z", "--no-renames", "--ignore-submodules=none", "--raw", old, new)
    return {path: _change(raw) for raw, path in zip(fields[::2], fields[1::2], strict=True)}


def _change(raw: str) -> FileChange:
    old_mode, new_mode, old_oid, new_oid, _ = raw.removeprefix(":").split(" ")
    old, new = FileVersion(old_mode, old_oid), FileVersion(new_mode, new_oid)
    return FileChange(old if int(old_mode) else None, new if int(new_mode) else None)


def under_way(place: Path) -> list[str]:
    """What the user, or another git process, is in the middle of in a checkout."""
    git_dir = Path(git_text(place, "rev-parse", "--absolute-git-dir"))
    found = [f"{what} is under way" for file, what in _UNDER_WAY.items() if (git_dir / file).exists()]
    lock = git_dir / "index.lock"
    return found + ([f"{lock} is held by another git process, or was left by a killed one"] if lock.exists() else [])


def dirty(place: Path, changes: Mapping[str, FileChange], *, resuming: bool) -> list[str]:
    """Paths whose index entry or file is neither the old nor the new one, each with why.

    Args:
        resuming: a file that is half written is one that an earlier attempt began.
    """
    index = _index(place, changes)
    files = _files(place, changes)
    reasons = []
    for path, change in changes.items():
        allowed = {side.oid if side else None for side in change}
        if index.get(path) not in allowed:
            reasons.append(f"{path} is staged otherwise, or unmerged")
        elif path in files and files[path] not in allowed and not (resuming and _half_written(place, path, change)):
            reasons.append(f"{path} has changes of yours" if change.old else f"{path} is a file of yours that git does not track")
    return reasons


def _index(place: Path, changes: Mapping[str, FileChange]) -> dict[str, str]:
    """Ids of the index's entries; an unmerged or hidden one (sparse checkout) has no id that matches."""
    entries: dict[str, str] = {}
    folders = sorted({path.split("/")[0] for path in changes})
    for record in git_lines(place, "ls-files", "-t", "-s", "-z", "--", *folders):
        head, path = record.split("\t", 1)
        tag, _, oid, stage = head.split(" ")
        entries[path] = oid if tag == "H" and stage == "0" else "not comparable"
    return entries


def _files(place: Path, changes: Mapping[str, FileChange]) -> dict[str, str | None]:
    """Ids that the files would have in git, with the user's own filters; None where there is none."""
    present = [path for path in changes if os.path.lexists(place / path) or _through_link(place, path)]
    plain = [path for path in present if not _through_link(place, path) and (place / path).is_file() and not (place / path).is_symlink()]
    names = "".join(f"{path}\n" for path in plain).encode(errors="surrogateescape")
    hashes = git_lines(place, "hash-object", "--stdin-paths", stdin=names, waiting=OWN_PROGRAMS)
    found: dict[str, str | None] = dict(zip(plain, hashes, strict=True))
    return {path: found.get(path, "not a plain file") if path in present else None for path in changes}


def _through_link(place: Path, path: str) -> bool:
    """Whether a folder on the way is a link or a file: writing there would reach elsewhere, or fail."""
    parents = [place / parent for parent in Path(path).parents if str(parent) != "."]
    return any(parent.is_symlink() or (parent.exists() and not parent.is_dir()) for parent in parents)


def _half_written(place: Path, path: str, change: FileChange) -> bool:
    file = place / path
    if _through_link(place, path) or file.is_symlink():
        return False
    if not file.exists():
        return True
    new = next(read_objects(place, [change.new.oid])) if change.new else None
    return new is not None and new.startswith(file.read_bytes())
