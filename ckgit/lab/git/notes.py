"""Notes on commits, as `git notes` and `git log --notes` know them: lines that are added, and never taken away or changed.

A note's lines are a set: whoever adds one, or brings two clones' notes together, keeps all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.lab.git.branch import commit_tree, empty_tree
from ckgit.lab.git.command import DURABLE, GitError, git, git_ok, git_text
from ckgit.lab.git.objects import REGULAR, Entry, read_objects, sizes, tree_entries
from ckgit.lab.git.tree import plan_tree, write_objects

_TRIES = 20  # others may add to the same notes at the same time


def notes_tip(root: Path, ref: str) -> str:
    """The commit that holds the notes now; empty where there are none yet."""
    there = git_ok(root, "rev-parse", "--quiet", "--verify", f"{ref}^{{commit}}")
    return git_text(root, "rev-parse", "--verify", f"{ref}^{{commit}}") if there else ""


def read_notes(root: Path, tip: str, *, most: int = 0) -> dict[str, bytes]:
    """Each note that a commit of notes holds, by the id of the object that it is on.

    Args:
        most: bytes of a note that is read, as anybody may have written it; a larger one is told as a line that says so. 0 for no limit.
    """
    places = _places(root, tip)
    large = {oid for oid, size in sizes(root, [entry.oid for entry in places.values()]).items() if size > most} if most else set()
    wanted = {on: entry.oid for on, entry in places.items() if entry.oid not in large}
    found = zip(wanted, read_objects(root, list(wanted.values())), strict=True)
    return {on: b"too large" for on in places if on not in wanted} | {on: content for on, content in found if content is not None}


def add_line(root: Path, ref: str, oid: str, line: str, *, subject: str) -> None:
    """Add a line to the note on an object; whatever others add meanwhile stays.

    Raises:
        CkgitError: USAGE, git does not know who the user is; COMMAND_FAILED, git's own failure, or others always were faster.
    """
    for _ in range(_TRIES):
        tip = notes_tip(root, ref)
        if _moved(root, ref, tip, with_lines(root, tip, {oid: [line]}, subject=subject)):
            return
    raise CkgitError(f"others add to {ref} all the time", code=Exit.COMMAND_FAILED, where=str(root), next="try again later")


def bring_together(root: Path, ref: str, theirs: str, *, subject: str) -> str:
    """Have a ref hold what another commit of notes holds, too; returns where it is then.

    Raises:
        CkgitError: as `add_line`.
    """
    for _ in range(_TRIES):
        ours = notes_tip(root, ref)
        here, there = read_notes(root, ours) if ours else {}, read_notes(root, theirs)
        lacking = {oid: some for oid, content in here.items() if (some := _new(there.get(oid), _lines(content)))}
        new = with_lines(root, theirs, lacking, subject=subject) if lacking else theirs
        if _moved(root, ref, ours, new):
            return new
    raise CkgitError(f"others add to {ref} all the time", code=Exit.COMMAND_FAILED, where=str(root), next="try again later")


def with_lines(root: Path, tip: str, lines: Mapping[str, Sequence[str]], *, subject: str) -> str:
    """A commit of notes that goes on from another one (empty: from none) with more lines, which nothing names yet."""
    places, known = (_places(root, tip), read_notes(root, tip)) if tip else ({}, {})
    paths = {oid: places[oid].path if oid in places else oid for oid in lines}
    files: dict[str, bytes | None] = {paths[oid]: _joined(known.get(oid), some) for oid, some in lines.items()}
    made = plan_tree(root, tip or empty_tree(root), files)
    write_objects(root, made.objects, len(made.oid))
    return commit_tree(root, made.oid, tip or None, f"{subject}\n")


def _places(root: Path, tip: str) -> dict[str, Entry]:
    """Where each note is, by the id of the object that it is on: git puts many of them into folders."""
    entries = tree_entries(root, tip, recursive=True)
    return {entry.path.replace("/", ""): entry for entry in entries if entry.mode in REGULAR}


def _lines(content: bytes) -> list[str]:
    return content.decode(errors="surrogateescape").split("\n")


def _new(known: bytes | None, lines: Iterable[str]) -> list[str]:
    there = _lines(known or b"")
    return [line for line in dict.fromkeys(lines) if line and line not in there]


def _joined(known: bytes | None, lines: Iterable[str]) -> bytes:
    text = "".join(f"{line}\n" for line in _new(known, lines)).encode(errors="surrogateescape")
    return known.rstrip(b"\n") + b"\n" + text if known and known.strip() else text


def _moved(root: Path, ref: str, old: str, new: str) -> bool:
    """Move a ref from one commit to another, unless it is not there any more."""
    try:
        git(root, *DURABLE, "update-ref", "-m", "ckgit: notes", ref, new, old or "0" * len(new))
    except GitError:
        if notes_tip(root, ref) == old:
            raise
        return False
    return True
