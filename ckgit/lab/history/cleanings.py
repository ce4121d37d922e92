"""What was taken off the disk of an experiment, as the steps say that recorded it: their message lists each thing, and was there first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.formats.listing import plural
from ckgit.formats.markdown import size
from ckgit.lab.git.command import git

_LINE = re.compile(r"^- (?P<path>/.*): (?P<bytes>\d+) bytes(?:, sha256 (?P<sha256>[0-9a-f]{64}))?$", re.MULTILINE)


class RemovedThing(NamedTuple):
    """A folder that was removed: a checkpoint, or a whole work tree."""

    path: str  # absolute
    bytes: int
    sha256: str = ""  # of a checkpoint, as its training committed it; empty where that is not known
    commit: str = ""  # that recorded it; empty where none does yet

    @property
    def line(self) -> str:
        """As a message lists it."""
        return f"- {self.path}: {self.bytes} bytes" + (f", sha256 {self.sha256}" if self.sha256 else "")


def message(removed: Sequence[RemovedThing]) -> str:
    """The text of the step that records a removal. It is committed first: who is killed leaves less removed than is said, never more."""
    total = sum(each.bytes for each in removed)
    head = f"To be removed from the disk: {plural(len(removed), 'folder')}, {size(total)}. Results and logs are in git, and stay."
    return "\n".join([head, "", *(each.line for each in removed)])


def removed_in(body: str, commit: str = "") -> list[RemovedThing]:
    """What a message lists as removed."""
    found = _LINE.finditer(body)
    return [RemovedThing(each["path"], int(each["bytes"]), each["sha256"] or "", commit) for each in found]


def removals(root: Path, name: str, tip: str, base: str = "") -> list[RemovedThing]:
    """All that was recorded as removed of an experiment whose branch is at `tip`, newest first.

    Args:
        base: commit of the default branch, whose history is not looked through; empty for all of it.
    """
    form = "--format=%H%x00%b%x00"
    greps = ("--all-match", "--grep=^Ckgit-Event: clean$", f"--grep=^Ckgit-Experiment: {re.escape(name)}$")
    command = ("rev-list", "--no-commit-header", *greps, form, tip, *([f"^{base}"] if base else []), "--")
    fields = git(root, *command).decode(errors="replace").split("\0")
    return [thing for oid, body in zip(fields[::2], fields[1::2], strict=False) for thing in removed_in(body, oid.strip())]


def removal_of(found: Iterable[RemovedThing], path: Path) -> RemovedThing | None:
    """The removal of a path, or of a folder above it; None where none is recorded."""
    places = {str(each) for each in (path, *path.parents)}
    return next((each for each in found if each.path in places), None)


class RemovedNow(NamedTuple):
    """What a branch says was removed, and how much of it is there nevertheless."""

    commit: str  # the newest step that says so
    folders: int
    left: int  # of them that are there: a removal was cut short, or they were brought back

    @property
    def in_words(self) -> str:
        """For people, without a command."""
        there = f"; {self.left} of them {'are' if self.left > 1 else 'is'} still there" if self.left else ""
        return f"{plural(self.folders, 'folder')} of checkpoints or work trees {'were' if self.folders > 1 else 'was'} removed{there}"


def removed_now(root: Path, name: str, tip: str, base: str) -> RemovedNow | None:
    """What was removed of an experiment; None where nothing was. The arguments are those of `removals`."""
    found = removals(root, name, tip, base)
    return RemovedNow(found[0].commit, len(found), sum(Path(each.path).is_dir() for each in found)) if found else None
