"""What ckgit wrote on an experiment's branch, and what of it somebody changed by hand since.

A commit by hand may hold anything: notes, a body for the summary, files of its own. What ckgit wrote is what its own commits on the
branch touched; it counts only as the last of them left it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ckgit.lab.git.command import git
from ckgit.lab.git.trailers import LOG_ATOM, Trailers, parse_trailers
from ckgit.lab.snapshot import Snapshot

_LOG = ("-c", "log.showSignature=false", "-c", "log.follow=false", "-c", "log.showRoot=true", "log", "-z", "--first-parent")
_RAW = ("--diff-merges=first-parent", "--raw", "--no-abbrev", "--no-renames", "--ignore-submodules=none")
_FORM = f"--format=%x01%H%x02{LOG_ATOM}%x02"
_BEFORE_JOBS = ("design", "scaffold")  # events whose files no job has made


class HandEdit(NamedTuple):
    """A file of ckgit's that is not as ckgit left it."""

    path: str
    hand: str  # the newest commit by hand that touches it
    left: str  # the commit of ckgit's that wrote it last, and that has it as it was
    event: str  # what that commit recorded
    gone: bool

    def __str__(self) -> str:
        return f"{self.path} ({'removed' if self.gone else 'changed'} in commit {self.hand[:12]})"

    @property
    def scaffolded(self) -> bool:
        """Whether it is a file that jobs read, and none that tells what they did."""
        return self.event in _BEFORE_JOBS


class _Commit(NamedTuple):
    oid: str
    recorded: Trailers | None  # None: it is the user's
    files: Mapping[str, str]  # id of each file's content after it, by path; zeros where it is gone


@dataclass(frozen=True)
class WrittenFiles:
    """The files of ckgit's on a branch."""

    paths: frozenset[str]  # as the last commit of ckgit's that touched each left them there, whatever became of them by hand
    edits: tuple[HandEdit, ...]  # newest first


def written(snapshot: Snapshot) -> WrittenFiles:
    """Compare the branch's tip with ckgit's own commits on it. The summary is left out: its parts have rules of their own."""
    now: dict[str, str] = {}
    hand: dict[str, str] = {}
    last: dict[str, tuple[str, _Commit]] = {}
    for commit in _commits(snapshot):
        for path, content in commit.files.items():
            now.setdefault(path, content)
            if path in last:
                continue
            if commit.recorded:
                last[path] = (content, commit)
            else:
                hand.setdefault(path, commit.oid)
        if commit.recorded and commit.recorded.source == "none":
            break  # what is older belongs to another experiment of this name
    last.pop(f"{snapshot.folder}/experiment_summary.md", None)
    kept = {path: (content, commit) for path, (content, commit) in last.items() if content.strip("0")}
    edits = [_edit(path, by, now[path], kept[path][1]) for path, by in hand.items() if path in kept and now[path] != kept[path][0]]
    return WrittenFiles(frozenset(kept), tuple(edits))


def _edit(path: str, hand: str, content: str, left: _Commit) -> HandEdit:
    return HandEdit(path, hand, left.oid, left.recorded.event if left.recorded else "", gone=not content.strip("0"))


def _commits(snapshot: Snapshot) -> Iterator[_Commit]:
    """The branch's own commits that touch the experiment's folder, newest first, from its first one on."""
    begun = _beginning(snapshot)
    since = [f"^{begun}^@"] if begun else []
    answer = git(snapshot.root, *_LOG, *_RAW, _FORM, snapshot.tip, *since, "--", f"{snapshot.folder}/")
    fields = iter(answer.decode(errors="surrogateescape").split("\0"))
    head, files = "", dict[str, str]()
    for field in fields:
        if field.lstrip("\n").startswith(":"):
            files[next(fields)] = field.split(" ")[3]
            continue
        if head:
            yield _commit(head, files, snapshot.name)
        head, files = field, {}


def _commit(head: str, files: Mapping[str, str], name: str) -> _Commit:
    oid, trailers, _ = head.strip("\n\x01").split("\x02", 2)
    return _Commit(oid, parse_trailers(trailers, name), files)


def _beginning(snapshot: Snapshot) -> str:
    """The commit with which ckgit made the branch, so that what the default branch did before is not looked through."""
    found = git(snapshot.root, *_LOG, "--fixed-strings", "--grep=Ckgit-From: none", _FORM, snapshot.tip, "--").decode(errors="replace")
    heads = [_commit(head, {}, snapshot.name) for head in found.split("\0") if head.strip()]
    return next((each.oid for each in heads if each.recorded and each.recorded.source == "none"), "")
