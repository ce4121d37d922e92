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
from typing import IO

from ckgit.errors import CkgitError, Exit
from ckgit.formats.plain_json import read_json
from ckgit.lab.git.command import OWN_PROGRAMS, GitError, git
from ckgit.lab.git.waiting import NoAnswerError
from ckgit.lab.git.worktrees import Branch, FileChange, FileVersion, changes_between, checkouts, dirty, under_way


def refuse_dirty(branch: Branch, place: Path, changes: Mapping[str, FileChange]) -> None:
    """Check that bringing a checkout along would touch none of the user's work.

    Raises:
        CkgitError: BRANCH_MOVED, naming what is in the way.
    """
    reasons = under_way(place) or dirty(place, changes, resuming=False)
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
            with _on_disk(journal):
                _write(file, {"old": old, "new": new, "places": [str(place) for place in places]})
            yield
        except BaseException:
            if branch.tip() != new:
                journal.unlink(missing_ok=True)
            raise
        for place in places if branch.tip() == new else []:  # whoever made the same commit and went on has brought them further
            try:
                _follow(place, changes_between(place, old, new))
            except (GitError, NoAnswerError, OSError) as error:
                raise _lagging(branch, place, [str(error) if isinstance(error, OSError) else error.what]) from error
        journal.unlink(missing_ok=True)


def resume(branch: Branch) -> list[str]:
    """Complete what a killed command owed to checkouts of a branch; the reasons why one cannot be completed.

    A checkout is only touched where each file is as it was, as it is to be, or half written.
    """
    journal = _journal(branch)
    if not journal.exists():
        return []
    with journal.open("r+", encoding="utf-8") as file:
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
    while True:
        with _on_disk(journal):
            journal.parent.mkdir(exist_ok=True)
            opened = journal.open("a+", encoding="utf-8")
        with opened as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if journal.exists() and os.path.samestat(journal.stat(), os.fstat(file.fileno())):
                yield file
                return


@contextlib.contextmanager
def _on_disk(journal: Path) -> Iterator[None]:
    """A journal that cannot be written stops the command before the branch moves."""
    try:
        yield
    except OSError as error:
        state = "nothing was committed"
        raise CkgitError(str(error), code=Exit.COMMAND_FAILED, where=str(journal), state=state, next="make room there") from error


def _write(file: IO[str], document: Mapping[str, object]) -> None:
    file.seek(0)
    file.truncate()
    json.dump(document, file)
    file.flush()
    os.fsync(file.fileno())


def _resume(branch: Branch, file: IO[str]) -> list[str]:
    try:
        owed = read_json(file.read())
        old, new, places = str(owed["old"]), str(owed["new"]), [Path(place) for place in owed["places"]]
    except (ValueError, KeyError, TypeError):
        return []  # killed while it was written, which is before the branch moved
    if branch.tip() != new:
        return []  # the branch did not move, or has gone on since, which needed a clean checkout
    reasons: list[str] = []
    for place in set(places) & set(checkouts(branch)):
        changes = changes_between(place, old, new)
        found = under_way(place) or dirty(place, changes, resuming=True)
        if not found:
            _follow(place, changes)
        reasons += found
    return reasons


def _follow(place: Path, changes: Mapping[str, FileChange]) -> None:
    """Write index entries and files of the new commit; doing it twice changes nothing."""
    sides = {path: change.new or _nothing(change) for path, change in changes.items()}
    info = [f"{side.mode} {side.oid}\t{path}" for path, side in sides.items()]
    git(place, "update-index", "-z", "--index-info", stdin=_nul(info), waiting=OWN_PROGRAMS)
    written = _nul([path for path, change in changes.items() if change.new])
    git(place, "checkout-index", "-f", "-u", "-z", "--stdin", stdin=written, waiting=OWN_PROGRAMS)
    for path in (path for path, change in changes.items() if not change.new):
        (place / path).unlink(missing_ok=True)
        _remove_empty((place / path).parent, place)


def _nothing(change: FileChange) -> FileVersion:
    """How update-index is told that there is no file."""
    return FileVersion("0", "0" * len(change.old.oid if change.old else ""))


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
