"""The history of an experiment: the commits of its branch, as git tells them, and whether the lifecycle allows each."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import NamedTuple

from ckgit.experiment.lifecycle import standing, step_problem
from ckgit.formats.times import of_git
from ckgit.lab.git.command import git, is_ancestor
from ckgit.lab.git.trailers import LOG_ATOM, parse_trailers
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.snapshot import Snapshot

_FORM = f"%H%x00%ct%x00%an%x00%s%x00%b%x00{LOG_ATOM}%x00"
_FIELDS = 6


class HistoryEntry(NamedTuple):
    """One commit. `event`, `source` and `target` are None when it is not ckgit's."""

    commit: str
    date: datetime.datetime  # of the commit
    author: str
    subject: str
    body: str  # for people, without the trailers
    event: str | None
    source: str | None  # `none` for the first one
    target: str | None
    problem: str | None = None  # why this commit cannot record this step; None where it can, and where it is not ckgit's


def history(lab: Lab, snapshot: Snapshot) -> list[HistoryEntry]:
    """What happened on the experiment's branch since it left the default branch, oldest first."""
    if is_ancestor(lab.root, snapshot.tip, lab.base):
        where = [f"--grep=^Ckgit-Experiment: {snapshot.name.replace('.', '[.]').replace('+', '[+]')}$", "--extended-regexp", snapshot.tip]
    else:
        where = ["--topo-order", snapshot.tip, f"^{lab.base}"]  # what a pull has merged belongs to it, too
    commits = ("rev-list", "--no-commit-header", "--reverse", f"--format={_FORM}")
    fields = git(lab.root, *commits, *where, "--").decode(errors="replace").split("\0")
    entries = [_entry(fields[at : at + _FIELDS], snapshot.name) for at in range(0, len(fields) - _FIELDS, _FIELDS)]
    return list(_checked(entries))


def _checked(entries: list[HistoryEntry]) -> Iterator[HistoryEntry]:
    """The commits, those with their problem that the lifecycle does not allow after the one before."""
    before = None
    for entry in entries:
        if entry.event and entry.source and entry.target:
            yield entry._replace(problem=step_problem(entry.event, entry.source, entry.target, before))
            before = standing(entry.event, entry.target)
        else:
            yield entry


def _entry(fields: list[str], name: str) -> HistoryEntry:
    commit, date, author, subject, body, trailers = fields
    found = parse_trailers(trailers, name)
    steps = (found.event, found.source, found.target) if found else (None, None, None)
    return HistoryEntry(commit.strip(), of_git(date), author, subject, without_trailers(body), *steps)


def without_trailers(body: str) -> str:
    """A message's body for people."""
    head, _, last = f"\n\n{body.strip()}".rpartition("\n\n")
    return head.strip() if last.startswith("Ckgit-") else body.strip()
