"""Bringing a checkout of the branch along, without touching the user's own work.

The branch moves first. What a checkout is owed is written down before that and crossed out at the end, so that the next
command completes what a killed one began.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from ckgit.experiment.errors import CkgitError, Exit
from ckgit.lab.git import GitError, git, git_lines, git_text
from ckgit.lab.objects import read_objects

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


class Side(NamedTuple):
    """A file in a tree."""

    mode: str
    oid: str


class Change(NamedTuple):
    """A file that differs between two commits; a side is None where there is no file."""

    old: Side | None
    new: Side | None


def checkouts(branch: Branch) -> list[Path]:
    """Worktrees that have a branch checked out."""
    places: list[Path] = []
    for record in git(branch.root, "worktree", "list", "--porcelain", "-z").decode(errors="surrogateescape").split("\0\0"):
        lines = record.strip("\0").split("\0")
        if f"branch {branch.ref}" in lines:
            places.append(Path(lines[0].removeprefix("worktree ")))
    return [place for place in places if place.is_dir()]


def changes_between(root: Path, old: str, new: str) -> dict[str, Change]:
    """Files that differ between two commits, by path."""
    fields = git_lines(root, "diff-tree", "-r", "-z", "--no-renames", "--raw", old, new)
    return {path: _change(raw) for raw, path in zip(fields[::2], fields[1::2], strict=True)}


def _change(raw: str) -> Change:
    old_mode, new_mode, old_oid, new_oid, _ = raw.removeprefix(":").split(" ")
    old, new = Side(old_mode, old_oid), Side(new_mode, new_oid)
    return Change(old if int(old_mode) else None, new if int(new_mode) else None)


def refuse_dirty(branch: Branch, place: Path, changes: Mapping[str, Change]) -> None:
    """Check that bringing a checkout along would touch none of the user's work.

    Raises:
        CkgitError: BRANCH_MOVED, naming what is in the way.
    """
    reasons = _under_way(place) or _dirty(place, changes, resuming=False)
    if reasons:
        raise _in_the_way(branch, place, reasons)


@contextlib.contextmanager
def promised(branch: Branch, places: Sequence[Path], old: str, new: str) -> Iterator[None]:
    """Write down that these checkouts are to go from `old` to `new`; the body of the `with` moves the branch, then they follow.

    Raises:
        CkgitError: BRANCH_MOVED, when a checkout could not follow after the branch moved; the next command tries again.
    """
    if not places:
        yield
        return
    journal = _journal(branch)
    with _locked(journal) as file:
        try:
            _write(file, {"old": old, "new": new, "places": [str(place) for place in places]})
            yield
        except BaseException:
            if branch.tip() != new:
                journal.unlink(missing_ok=True)
            raise
        for place in places:
            try:
                _follow(place, changes_between(place, old, new))
            except GitError as error:
                raise _lagging(branch, place, [str(error.what)]) from error
        journal.unlink(missing_ok=True)


def resume(branch: Branch) -> list[str]:
    """Complete what a killed command owed to checkouts of a branch; the reasons why one cannot be completed.

    A checkout is only touched where each file is as it was, as it is to be, or half written.
    """
    journal = _journal(branch)
    if not journal.exists():
        return []
    with journal.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return []  # the command that wrote it is still at work
        reasons = _resume(branch, file)
        if not reasons:
            journal.unlink(missing_ok=True)
        return reasons


def refuse_lagging(branch: Branch) -> None:
    """Check that no checkout of the branch is behind it.

    Raises:
        CkgitError: BRANCH_MOVED, naming what keeps it back.
    """
    if reasons := resume(branch):
        raise _lagging(branch, branch.root, reasons)


def _journal(branch: Branch) -> Path:
    return branch.git_dir / "ckgit" / f"checkout-{branch.name.replace('/', '-')}.json"


@contextlib.contextmanager
def _locked(journal: Path) -> Iterator[IO[str]]:
    """The journal, opened for this process alone; whoever had it before has removed it."""
    journal.parent.mkdir(exist_ok=True)
    while True:
        with journal.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if journal.exists() and os.path.samestat(journal.stat(), os.fstat(file.fileno())):
                yield file
                return


def _write(file: IO[str], document: Mapping[str, object]) -> None:
    file.seek(0)
    file.truncate()
    json.dump(document, file)
    file.flush()
    os.fsync(file.fileno())


def _resume(branch: Branch, file: IO[str]) -> list[str]:
    try:
        owed = json.loads(file.read())
        old, new, places = str(owed["old"]), str(owed["new"]), [Path(place) for place in owed["places"]]
    except (ValueError, KeyError, TypeError):
        return []  # killed while it was written, which is before the branch moved
    if branch.tip() != new:
        return []  # the branch did not move, or has gone on since, which needed a clean checkout
    reasons: list[str] = []
    for place in set(places) & set(checkouts(branch)):
        changes = changes_between(place, old, new)
        found = _under_way(place) or _dirty(place, changes, resuming=True)
        if not found:
            _follow(place, changes)
        reasons += found
    return reasons


def _under_way(place: Path) -> list[str]:
    git_dir = Path(git_text(place, "rev-parse", "--absolute-git-dir"))
    found = [f"{what} is under way" for file, what in _UNDER_WAY.items() if (git_dir / file).exists()]
    lock = git_dir / "index.lock"
    return found + ([f"{lock} is held by another git process, or was left by a killed one"] if lock.exists() else [])


def _dirty(place: Path, changes: Mapping[str, Change], *, resuming: bool) -> list[str]:
    """Paths whose index entry or file is neither the old nor the new one, each with why."""
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


def _index(place: Path, changes: Mapping[str, Change]) -> dict[str, str]:
    """Ids of the index's entries; an unmerged or hidden one (sparse checkout) has no id that matches."""
    entries: dict[str, str] = {}
    folders = sorted({path.split("/")[0] for path in changes})
    for record in git_lines(place, "ls-files", "-t", "-s", "-z", "--", *folders):
        head, path = record.split("\t", 1)
        tag, _, oid, stage = head.split(" ")
        entries[path] = oid if tag == "H" and stage == "0" else "not comparable"
    return entries


def _files(place: Path, changes: Mapping[str, Change]) -> dict[str, str | None]:
    """Ids that the files would have in git, with the user's own filters; None where there is none."""
    present = [path for path in changes if os.path.lexists(place / path) or _through_link(place, path)]
    plain = [path for path in present if not _through_link(place, path) and (place / path).is_file() and not (place / path).is_symlink()]
    hashes = git_lines(place, "hash-object", "--stdin-paths", stdin="".join(f"{path}\n" for path in plain).encode(errors="surrogateescape"))
    found: dict[str, str | None] = dict(zip(plain, hashes, strict=True))
    return {path: found.get(path, "not a plain file") if path in present else None for path in changes}


def _through_link(place: Path, path: str) -> bool:
    """Whether a folder on the way is a link or a file: writing there would reach elsewhere, or fail."""
    parents = [place / parent for parent in Path(path).parents if str(parent) != "."]
    return any(parent.is_symlink() or (parent.exists() and not parent.is_dir()) for parent in parents)


def _half_written(place: Path, path: str, change: Change) -> bool:
    file = place / path
    if _through_link(place, path) or file.is_symlink():
        return False
    if not file.exists():
        return True
    new = next(read_objects(place, [change.new.oid])) if change.new else None
    return new is not None and new.startswith(file.read_bytes())


def _follow(place: Path, changes: Mapping[str, Change]) -> None:
    """Write index entries and files of the new commit; doing it twice changes nothing."""
    if not changes:
        return
    sides = {path: change.new or _nothing(change) for path, change in changes.items()}
    info = [f"{side.mode} {side.oid}\t{path}" for path, side in sides.items()]
    git(place, "update-index", "-z", "--index-info", stdin=_nul(info))
    git(place, "checkout-index", "-f", "-u", "-z", "--stdin", stdin=_nul([path for path, change in changes.items() if change.new]))
    for path in (path for path, change in changes.items() if not change.new):
        (place / path).unlink(missing_ok=True)
        _remove_empty((place / path).parent, place)


def _nothing(change: Change) -> Side:
    """How update-index is told that there is no file."""
    return Side("0", "0" * len(change.old.oid if change.old else ""))


def _nul(records: Sequence[str]) -> bytes:
    return "".join(f"{record}\0" for record in records).encode(errors="surrogateescape")


def _remove_empty(folder: Path, top: Path) -> None:
    with contextlib.suppress(OSError):  # not empty
        while folder != top:
            folder.rmdir()
            folder = folder.parent


def _in_the_way(branch: Branch, place: Path, reasons: Sequence[str]) -> CkgitError:
    return CkgitError(
        f"{branch.name} is checked out here, and your work is in the way: {'; '.join(reasons)}",
        code=Exit.BRANCH_MOVED,
        where=str(place),
        state="nothing was committed, your files are untouched",
        next="commit or stash it, or check another branch out there; then try again",
    )


def _lagging(branch: Branch, place: Path, reasons: Sequence[str]) -> CkgitError:
    return CkgitError(
        f"the checkout of {branch.name} is behind its branch: {'; '.join(reasons)}",
        code=Exit.BRANCH_MOVED,
        where=str(place),
        state="the branch holds the last transition; the checkout is completed once nothing is in the way",
        next=f"git -C {place} status shows your work there; move it out of the way, then run the command again",
    )
