"""Why experiments were closed, as the steps that closed them say."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ckgit.experiment.lifecycle import is_closed
from ckgit.formats.times import of_git
from ckgit.lab.git.command import git
from ckgit.lab.history.entries import without_trailers
from ckgit.lab.snapshot.snapshot import Snapshot


class Closing(NamedTuple):
    """The step that closed an experiment."""

    commit: str
    date: datetime.datetime  # of that commit
    because: str  # why, on one line, as it was written


def closings(root: Path, commits: Iterable[str]) -> dict[str, Closing]:
    """What these steps say, by commit."""
    wanted = list(dict.fromkeys(commits))
    if not wanted:
        return {}
    form = "--format=%H%x00%ct%x00%b%x00"
    fields = git(root, "rev-list", "--no-walk=unsorted", "--no-commit-header", form, *wanted, "--").decode(errors="replace").split("\0")
    found = zip(fields[::3], fields[1::3], fields[2::3], strict=False)
    return {oid.strip(): _closing(oid.strip(), date, body) for oid, date, body in found}


def closing_of(snapshot: Snapshot) -> Closing | None:
    """The step that closed an experiment; None where it is open."""
    if not is_closed(snapshot.standing):
        return None
    return closings(snapshot.root, [snapshot.recorded_at])[snapshot.recorded_at]


def _closing(commit: str, date: str, body: str) -> Closing:
    return Closing(commit, of_git(date), " ".join(without_trailers(body).split()))
