"""What ckgit wrote on an experiment's branch, what of it somebody changed by hand since, and what brings it back.

A commit by hand may hold anything: notes, a body for the summary, files of its own. What ckgit wrote is what its own commits on the
branch touched; it counts only as the last of them left it. A commit that was amended or rebased since is still called ckgit's by its
message: what it holds is held against the commit that ckgit made, which `refs/ckgit/` keeps.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.formats.listing import first_of
from ckgit.lab.branches import last_recorded
from ckgit.lab.git.command import git_lines, is_ancestor
from ckgit.lab.git.tips import rescued
from ckgit.lab.git.trailers import Trailers
from ckgit.lab.history.commits import BranchCommit, PathChange, branch_commits, changes, commits_beyond
from ckgit.lab.snapshot.snapshot import Snapshot

_LISTED = 5  # files that an error names
_BEFORE_JOBS = ("design", "scaffold")  # events whose files no job has made


class HandEdit(NamedTuple):
    """A file of ckgit's that is not as ckgit left it."""

    path: str
    hand: str  # the newest commit by hand that touches it
    left: str  # the commit of ckgit's that wrote it last, and that has it as it was
    records: str  # what that commit recorded
    gone: bool
    amended: bool = False  # whether that newest commit is one of ckgit's that was amended or rebased
    other: str | None = None  # where it is a merge of steps that went on in two ways: the commit that was merged in

    def __str__(self) -> str:
        return f"{self.path} ({'removed' if self.gone else 'changed'} in commit {self.hand[:12]})"

    @property
    def scaffolded(self) -> bool:
        """Whether it is a file that jobs read, and none that tells what they did."""
        return self.records in _BEFORE_JOBS


class _Commit(NamedTuple):
    """A commit, and whether it is one of ckgit's that was amended or rebased."""

    commit: BranchCommit
    rewritten: bool = False


_RecordedStep = tuple[str, Trailers | None]


@dataclass(frozen=True)
class WrittenFiles:
    """The files of ckgit's on a branch."""

    paths: frozenset[str]  # as the last commit of ckgit's that touched each left them there, whatever became of them by hand
    edits: tuple[HandEdit, ...]  # newest first


def written(snapshot: Snapshot) -> WrittenFiles:
    """Compare the branch's tip with ckgit's own commits on it. The summary is left out: its parts have rules of their own."""
    now: dict[str, PathChange] = {}
    hand: dict[str, _Commit] = {}
    last: dict[str, tuple[PathChange, BranchCommit]] = {}
    for each in _history(snapshot, snapshot.tip, _lost_steps(snapshot)):
        commit = each.commit
        for path, change in commit.files.items():
            now.setdefault(path, change)
            if path in last:
                continue
            if commit.recorded:
                last[path] = (change, commit)
            else:
                hand.setdefault(path, each)
        if commit.recorded and commit.recorded.source == "none":
            break  # what is older belongs to another experiment of this name
    last.pop(f"{snapshot.folder}/experiment_summary.md", None)
    kept = {path: (change, commit) for path, (change, commit) in last.items() if not change.gone}
    edited = {path: by for path, by in hand.items() if path in kept and now[path].content != kept[path][0].content}
    others = {oid: _other_way(snapshot, oid) for oid in {by.commit.oid for by in edited.values()}}
    edits = (_edit(path, by, now[path], kept[path][1], others[by.commit.oid]) for path, by in edited.items())
    return WrittenFiles(frozenset(kept), tuple(edits))


def _edit(path: str, hand: _Commit, change: PathChange, left: BranchCommit, other: str | None) -> HandEdit:
    event = left.recorded.event if left.recorded else ""
    return HandEdit(path, hand.commit.oid, left.oid, event, gone=change.gone, amended=hand.rewritten, other=other)


def _other_way(snapshot: Snapshot, hand: str) -> str | None:
    """The parent of a merge that brought other steps of ckgit's than those it was merged into; None where it is no such merge."""
    root, name = snapshot.root, snapshot.name
    _, first, *others = git_lines(root, "rev-list", "--parents", "--max-count=1", hand, "--")[0].split(" ")
    ours = last_recorded(root, name, first)[0]
    return next((each for each in others if _parted(root, ours, last_recorded(root, name, each)[0])), None)


def _parted(root: Path, one: str, other: str) -> bool:
    return bool(one and other) and not is_ancestor(root, one, other) and not is_ancestor(root, other, one)


def _history(snapshot: Snapshot, tip: str, lost: Mapping[_RecordedStep, Sequence[str]]) -> Iterator[_Commit]:
    """The commits of a branch that touch the experiment's folder, newest first.

    Where one is a step of ckgit's that was rewritten, what differs from the step as ckgit made it is by hand, and the history goes on
    with that one.
    """
    for commit in branch_commits(snapshot.root, snapshot.name, tip, snapshot.folder):
        known = lost.get(_step(commit), ())
        # What was made after it is another step, of the same second.
        made = () if commit.oid in known else [oid for oid in known if not is_ancestor(snapshot.root, commit.oid, oid)]
        if not made:
            yield _Commit(commit)
            continue
        found = {oid: changes(snapshot.root, oid, commit.oid, snapshot.folder) for oid in made}
        before = min(made, key=lambda oid: len(found[oid]))
        yield _Commit(commit._replace(recorded=None, files=found[before]), rewritten=True)
        yield from _history(snapshot, before, lost)
        return


def _step(commit: BranchCommit) -> _RecordedStep:
    """By what a step is known again after it was rewritten."""
    return commit.authored, commit.recorded


def _lost_steps(snapshot: Snapshot) -> dict[_RecordedStep, list[str]]:
    """Commits that ckgit made and that the branch does not hold any more, by step.

    Of several for one step those that were committed first are ckgit's own: a rewritten one may have been lost, too.
    """
    heads = {snapshot.left, *rescued(snapshot.root, snapshot.name)} - {snapshot.tip, ""}
    if not heads:
        return {}
    found: dict[_RecordedStep, list[BranchCommit]] = {}
    for commit in commits_beyond(snapshot.root, snapshot.name, sorted(heads), snapshot.tip):
        if commit.recorded:
            found.setdefault(_step(commit), []).append(commit)
    first = {step: min(each.committed for each in commits) for step, commits in found.items()}
    return {step: [each.oid for each in commits if each.committed == first[step]] for step, commits in found.items()}


def refuse_edited(snapshot: Snapshot, *only: str) -> None:
    """Raise where what jobs left, or the ledger, is not as ckgit committed it: nothing may follow from that.

    Args:
        only: paths of files; all where there is none.

    Raises:
        CkgitError: EVIDENCE_MISSING, naming files and commits.
    """
    edits = [edit for edit in written(snapshot).edits if not edit.scaffolded and (not only or edit.path in only)]
    if edits:
        raise CkgitError(
            "\n  ".join(["files that ckgit wrote were changed by hand, and nothing may follow from them:", *edit_lines(edits)]),
            code=Exit.EVIDENCE_MISSING,
            where=f"exp/{snapshot.name} at {snapshot.tip[:12]}",
            state="nothing was changed",
            next=restored(snapshot.name, edits),
        )


def edit_lines(edits: Sequence[HandEdit]) -> list[str]:
    """A line for each of the first few files."""
    return first_of(map(str, edits), _LISTED)


def restored(name: str, edits: Sequence[HandEdit]) -> str:
    """The command that has these files be as ckgit left them."""
    if len(edits) > _LISTED and not any(edit.amended for edit in edits):  # the revert of a rewritten step would take all of it back
        commits = list(dict.fromkeys(edit.hand[:12] for edit in edits))
        return f"git switch exp/{name} && git revert --no-edit {' '.join(commits)}"
    places: dict[str, list[str]] = {}
    for edit in edits:
        places.setdefault(edit.left[:12], []).append(shlex.quote(edit.path))
    back = " && ".join(f"git checkout {commit} -- {' '.join(paths)}" for commit, paths in places.items())
    ours = f"git switch exp/{name} && {back} && git commit -m 'As ckgit left it'"
    for edit in edits:
        if edit.other:
            theirs = f"git rebase --onto {edit.other[:12]} {edit.hand[:12]} exp/{name}"
            return f"{ours}; or, to go on from the steps that were merged in, and not from these: {theirs}"
    return ours
