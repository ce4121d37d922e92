"""The commits of an experiment's branch, newest first, each with what it recorded and what it changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.formats.times import of_git
from ckgit.lab.branches import last_recorded
from ckgit.lab.git.command import git, git_lines, is_ancestor
from ckgit.lab.git.trailers import LOG_ATOM, Trailers, parse_trailers

_LOG = ("-c", "log.showSignature=false", "-c", "log.follow=false", "-c", "log.showRoot=true", "log", "-z", "--first-parent")
_RAW = ("--raw", "--no-abbrev", "--no-renames", "--ignore-submodules=none")
# One line each, which nothing in a commit can break; its trailers come last.
_FORM = f"--format=%x01%H%n%P%n%an <%ae> %at%n%ct%n{LOG_ATOM}%x02"


class PathChange(NamedTuple):
    """What a commit has at a path that it changed."""

    mode: str  # of git, e.g. 100644; zeros where the file is gone
    content: str  # id of the content; zeros where it is gone

    @property
    def gone(self) -> bool:
        """Whether the commit removed the file."""
        return not self.content.strip("0")


class BranchCommit(NamedTuple):
    """One commit of a branch."""

    oid: str
    parents: Sequence[str]
    authored: str  # by whom and when, which stays as it is where a commit is amended or rebased
    committed: int  # seconds since 1970
    recorded: Trailers | None  # None: it is the user's, or records a step of another experiment
    trailers: str  # as they were written
    files: Mapping[str, PathChange]  # what it changed, by path


def branch_commits(root: Path, name: str, tip: str, folder: str = "", beyond: str = "") -> Iterator[BranchCommit]:
    """A branch's own commits, newest first, from the one with which ckgit made it on.

    A merge that has brought steps of ckgit's, as `git pull` does, goes on with these: it has done by hand what differs from them.

    Args:
        folder: only commits that touch it, and what they changed there; empty for all.
        beyond: where ckgit did not make the branch, only what this commit does not hold.
    """
    begun = _beginning(root, name, tip)
    since = [f"^{begun}^@"] if begun else [f"^{beyond}"] if beyond else []
    if not (side := _merged_steps(root, name, tip, since)):
        yield from _logged(root, name, folder, tip, *since)
        return
    merge, parent = side
    yield from _logged(root, name, folder, tip, f"^{merge}")
    yield one_commit(root, name, merge)._replace(files=changes(root, parent, merge, folder))
    yield from branch_commits(root, name, parent, folder, beyond)


def one_commit(root: Path, name: str, oid: str) -> BranchCommit:
    """A commit, without what it changed."""
    head = git(root, *_LOG, "--no-patch", "--max-count=1", _FORM, oid, "--").decode(errors="surrogateescape")
    return _commit(head.strip("\0"), {}, name)


def message_of(root: Path, oid: str) -> str:
    """A commit's whole message."""
    return git(root, *_LOG, "--no-patch", "--max-count=1", "--format=%B", oid, "--").decode(errors="surrogateescape").strip("\0\n")


def commits_beyond(root: Path, name: str, heads: Sequence[str], tip: str) -> Iterator[BranchCommit]:
    """The commits on the way to some others that a branch does not hold, without what they changed."""
    answer = git(root, *_LOG, _FORM, *heads, f"^{tip}", "--").decode(errors="surrogateescape")
    return (_commit(head, {}, name) for head in answer.split("\0") if head.strip())


def changes(root: Path, before: str, after: str, folder: str = "") -> dict[str, PathChange]:
    """In what two commits differ, by path: what the second one has there."""
    answer = git(root, "diff-tree", "-r", "-z", *_RAW, before, after, "--", *_below(folder))
    fields = answer.decode(errors="surrogateescape").split("\0")
    return {path: _change(raw) for raw, path in zip(fields[::2], fields[1::2], strict=False)}


def _below(folder: str) -> list[str]:
    return [f"{folder}/"] if folder else []


def _change(raw: str) -> PathChange:
    _, mode, _, content, _ = raw.lstrip("\n").split(" ")
    return PathChange(mode, content)


def _merged_steps(root: Path, name: str, tip: str, since: Sequence[str]) -> tuple[str, str] | None:
    """The newest merge that has brought steps of ckgit's, and which of its parents has them; None where there is none."""
    for line in git_lines(root, "rev-list", "--first-parent", "--merges", "--parents", tip, *since, "--"):
        merge, first, *others = line.split(" ")
        step = last_recorded(root, name, merge)[0]
        if step not in ("", merge) and step != last_recorded(root, name, first)[0]:
            return merge, next(parent for parent in others if is_ancestor(root, step, parent))
    return None


def _logged(root: Path, name: str, folder: str, tip: str, *since: str) -> Iterator[BranchCommit]:
    answer = git(root, *_LOG, "--diff-merges=first-parent", *_RAW, _FORM, tip, *since, "--", *_below(folder))
    fields = iter(answer.decode(errors="surrogateescape").split("\0"))
    head, files = "", dict[str, PathChange]()
    for field in fields:
        if field.lstrip("\n").startswith(":"):
            files[next(fields)] = _change(field)
            continue
        if head:
            yield _commit(head, files, name)
        head, files = field, {}


def _commit(head: str, files: Mapping[str, PathChange], name: str) -> BranchCommit:
    oid, parents, authored, committed, trailers = head.strip("\n").removeprefix("\x01").removesuffix("\x02").split("\n", 4)
    return BranchCommit(oid, parents.split(), authored, int(of_git(committed).timestamp()), parse_trailers(trailers, name), trailers, files)


def _beginning(root: Path, name: str, tip: str) -> str:
    """The commit with which ckgit made the branch, so that what the default branch did before is not looked through."""
    found = git(root, *_LOG, "--fixed-strings", "--grep=Ckgit-From: none", _FORM, tip, "--").decode(errors="replace")
    heads = [_commit(head, {}, name) for head in found.split("\0") if head.strip()]
    return next((each.oid for each in heads if each.recorded and each.recorded.source == "none"), "")
