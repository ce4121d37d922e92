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
from ckgit.lab.git.command import git, git_lines, is_ancestor
from ckgit.lab.git.tips import rescued
from ckgit.lab.git.trailers import LOG_ATOM, Trailers, parse_trailers
from ckgit.lab.snapshot import Snapshot

_LOG = ("-c", "log.showSignature=false", "-c", "log.follow=false", "-c", "log.showRoot=true", "log", "-z", "--first-parent")
_RAW = ("--diff-merges=first-parent", "--raw", "--no-abbrev", "--no-renames", "--ignore-submodules=none")
_FORM = f"--format=%x01%H%x02%an <%ae> %at%x02%ct%x02{LOG_ATOM}%x02"
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
    oid: str
    authored: str  # by whom and when, which stays as it is where a commit is amended or rebased
    committed: int
    recorded: Trailers | None  # None: it is the user's
    files: Mapping[str, str]  # id of each file's content after it, by path; zeros where it is gone
    rewritten: bool = False  # whether it is one of ckgit's that was amended or rebased


_RecordedStep = tuple[str, Trailers | None]


@dataclass(frozen=True)
class WrittenFiles:
    """The files of ckgit's on a branch."""

    paths: frozenset[str]  # as the last commit of ckgit's that touched each left them there, whatever became of them by hand
    edits: tuple[HandEdit, ...]  # newest first


def written(snapshot: Snapshot) -> WrittenFiles:
    """Compare the branch's tip with ckgit's own commits on it. The summary is left out: its parts have rules of their own."""
    now: dict[str, str] = {}
    hand: dict[str, _Commit] = {}
    last: dict[str, tuple[str, _Commit]] = {}
    for commit in _history(snapshot, snapshot.tip, _lost_steps(snapshot)):
        for path, content in commit.files.items():
            now.setdefault(path, content)
            if path in last:
                continue
            if commit.recorded:
                last[path] = (content, commit)
            else:
                hand.setdefault(path, commit)
        if commit.recorded and commit.recorded.source == "none":
            break  # what is older belongs to another experiment of this name
    last.pop(f"{snapshot.folder}/experiment_summary.md", None)
    kept = {path: (content, commit) for path, (content, commit) in last.items() if content.strip("0")}
    edited = {path: by for path, by in hand.items() if path in kept and now[path] != kept[path][0]}
    others = {oid: _other_way(snapshot, oid) for oid in {by.oid for by in edited.values()}}
    return WrittenFiles(frozenset(kept), tuple(_edit(path, by, now[path], kept[path][1], others[by.oid]) for path, by in edited.items()))


def _edit(path: str, hand: _Commit, content: str, left: _Commit, other: str | None) -> HandEdit:
    event = left.recorded.event if left.recorded else ""
    return HandEdit(path, hand.oid, left.oid, event, gone=not content.strip("0"), amended=hand.rewritten, other=other)


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
    for commit in _commits(snapshot, tip):
        known = lost.get(_step(commit), ())
        # What was made after it is another step, of the same second.
        made = () if commit.oid in known else [oid for oid in known if not is_ancestor(snapshot.root, commit.oid, oid)]
        if not made:
            yield commit
            continue
        changes = {oid: _changes(snapshot, oid, commit.oid) for oid in made}
        before = min(made, key=lambda oid: len(changes[oid]))
        yield commit._replace(recorded=None, files=changes[before], rewritten=True)
        yield from _history(snapshot, before, lost)
        return


def _step(commit: _Commit) -> _RecordedStep:
    """By what a step is known again after it was rewritten."""
    return commit.authored, commit.recorded


def _lost_steps(snapshot: Snapshot) -> dict[_RecordedStep, list[str]]:
    """Commits that ckgit made and that the branch does not hold any more, by step.

    Of several for one step those that were committed first are ckgit's own: a rewritten one may have been lost, too.
    """
    heads = {snapshot.left, *rescued(snapshot.root, snapshot.name)} - {snapshot.tip, ""}
    if not heads:
        return {}
    answer = git(snapshot.root, *_LOG, _FORM, *sorted(heads), f"^{snapshot.tip}", "--").decode(errors="surrogateescape")
    found: dict[_RecordedStep, list[_Commit]] = {}
    for commit in (_commit(head, {}, snapshot.name) for head in answer.split("\0") if head.strip()):
        if commit.recorded:
            found.setdefault(_step(commit), []).append(commit)
    first = {step: min(each.committed for each in commits) for step, commits in found.items()}
    return {step: [each.oid for each in commits if each.committed == first[step]] for step, commits in found.items()}


def _changes(snapshot: Snapshot, before: str, after: str) -> dict[str, str]:
    """Files of the experiment in which two commits differ: id of the content in the second, by path; zeros where it is gone there."""
    answer = git(snapshot.root, "diff-tree", "-r", "-z", *_RAW[1:], before, after, "--", f"{snapshot.folder}/")
    fields = answer.decode(errors="surrogateescape").split("\0")
    return {path: raw.split(" ")[3] for raw, path in zip(fields[::2], fields[1::2], strict=False)}


def _commits(snapshot: Snapshot, tip: str) -> Iterator[_Commit]:
    """A branch's own commits that touch the experiment's folder, newest first, from its first one on.

    A merge that has brought steps of ckgit's, as `git pull` does, goes on with these: it has done by hand what differs from them.
    """
    begun = _beginning(snapshot, tip)
    since = [f"^{begun}^@"] if begun else []
    if not (side := _merged_steps(snapshot, tip, since)):
        yield from _logged(snapshot, tip, *since)
        return
    merge, parent = side
    yield from _logged(snapshot, tip, f"^{merge}")
    head = git(snapshot.root, *_LOG, "--no-patch", "--max-count=1", _FORM, merge, "--").decode(errors="surrogateescape")
    yield _commit(head.strip("\0"), _changes(snapshot, parent, merge), snapshot.name)
    yield from _commits(snapshot, parent)


def _merged_steps(snapshot: Snapshot, tip: str, since: Sequence[str]) -> tuple[str, str] | None:
    """The newest merge that has brought steps of ckgit's, and which of its parents has them; None where there is none."""
    root, name = snapshot.root, snapshot.name
    for line in git_lines(root, "rev-list", "--first-parent", "--merges", "--parents", tip, *since, "--"):
        merge, first, *others = line.split(" ")
        step = last_recorded(root, name, merge)[0]
        if step not in ("", merge) and step != last_recorded(root, name, first)[0]:
            return merge, next(parent for parent in others if is_ancestor(root, step, parent))
    return None


def _logged(snapshot: Snapshot, tip: str, *since: str) -> Iterator[_Commit]:
    answer = git(snapshot.root, *_LOG, *_RAW, _FORM, tip, *since, "--", f"{snapshot.folder}/")
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
    oid, authored, committed, trailers, _ = head.strip("\n\x01").split("\x02", 4)
    return _Commit(oid, authored, int(committed), parse_trailers(trailers, name), files)


def _beginning(snapshot: Snapshot, tip: str) -> str:
    """The commit with which ckgit made the branch, so that what the default branch did before is not looked through."""
    found = git(snapshot.root, *_LOG, "--fixed-strings", "--grep=Ckgit-From: none", _FORM, tip, "--").decode(errors="replace")
    heads = [_commit(head, {}, snapshot.name) for head in found.split("\0") if head.strip()]
    return next((each.oid for each in heads if each.recorded and each.recorded.source == "none"), "")


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
