"""What remotes' branches, as they were last fetched, have and the local ones lack. Asks no remote."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckgit.formats.listing import plural
from ckgit.formats.numbers import rough_duration
from ckgit.lab.git.command import git_lines, git_ok, git_text
from ckgit.lab.git.objects import tree_entries
from ckgit.lab.git.worktrees import Branch, checkouts
from ckgit.lab.lab import Lab


class UpstreamChanges(NamedTuple):
    """A remote's branch that has commits which the local default branch lacks."""

    name: str  # e.g. origin/main
    tip: str
    lacking: int  # commits that the local branch lacks
    own: int  # commits that it has alone
    catch_up: str  # the command that brings the local branch up to it


def newer_branches(lab: Lab) -> list[UpstreamChanges]:
    """Such branches: the default branch's upstream, and those of its name at the authority and at origin."""
    ref = f"refs/heads/{lab.default_branch}"
    upstream = git_text(lab.root, "for-each-ref", "--format=%(upstream)", ref)
    names = [f"refs/remotes/{remote}/{lab.default_branch}" for remote in (lab.config.authority, "origin") if remote]
    wanted = [name for name in dict.fromkeys([upstream, *names]) if name.startswith("refs/remotes/")]
    found = dict(line.rsplit(" ", 1) for line in git_lines(lab.root, "for-each-ref", "--format=%(refname) %(objectname)", *wanted))
    branches = [_newer(lab, name, found[name]) for name in wanted if name in found]
    return [branch for branch in branches if branch.lacking]


def newer_files(lab: Lab, ours: str, theirs: str, paths: Sequence[str]) -> list[str]:
    """Those files that were changed on their side since both parted, and are not what ours has now."""
    if not git_ok(lab.root, "merge-base", ours, theirs):
        return []
    parted = git_text(lab.root, "merge-base", ours, theirs)
    here, there, before = ({e.path: e.oid for e in tree_entries(lab.root, commit, *paths)} for commit in (ours, theirs, parted))
    return [path for path in paths if there.get(path) not in (here.get(path), before.get(path))]


def _newer(lab: Lab, ref: str, tip: str) -> UpstreamChanges:
    own, lacking = map(int, git_text(lab.root, "rev-list", "--left-right", "--count", f"{lab.base}...{tip}").split())
    name = ref.removeprefix("refs/remotes/")
    merge = f"merge {shlex.quote(name)}" if own else f"merge --ff-only {shlex.quote(name)}"
    places = checkouts(Branch(lab.root, lab.git_dir, lab.default_branch))
    if places:
        command = f"git {merge}" if places[0] == lab.root else f"git -C {shlex.quote(str(places[0]))} {merge}"
    else:
        command = f"git switch {shlex.quote(lab.default_branch)} && git {merge}"
    return UpstreamChanges(name, tip, lacking, own, command)


class RemoteBranch(NamedTuple):
    """A remote's branch of an experiment that has commits which the local one lacks."""

    name: str  # e.g. origin/exp/demo
    commit: str
    lacking: int  # commits that the local branch lacks
    own: int  # commits that it has alone
    fetched: float | None  # seconds since anything was fetched; None where that is not known

    @property
    def fetch(self) -> str:
        """The command that fetches it."""
        return f"git fetch {shlex.quote(self.name.partition('/')[0])}"

    def __str__(self) -> str:
        here = f", and the branch here has {plural(self.own, 'commit')} that it lacks" if self.own else ""
        age = f", as of {rough_duration(self.fetched)} ago" if self.fetched is not None else ""
        return f"{self.name} is {plural(self.lacking, 'commit')} ahead{here}{age}"


def ahead(lab: Lab, ref: str, tip: str, remotes: Mapping[str, str]) -> list[RemoteBranch]:
    """The remotes' branches that are ahead of a local one.

    Args:
        ref: the branch, e.g. `exp/demo`.
        tip: the commit that it is at.
        remotes: tips of the remotes' branches, by remote.
    """
    others = {remote: theirs for remote, theirs in remotes.items() if theirs != tip}
    found = []
    for remote, theirs in others.items():
        own, lacking = map(int, git_text(lab.root, "rev-list", "--left-right", "--count", f"{tip}...{theirs}").split())
        if lacking:
            found.append(RemoteBranch(f"{remote}/{ref}", theirs, lacking, own, _since_fetch(lab)))
    return found


def _since_fetch(lab: Lab) -> float | None:
    try:
        return max(time.time() - (lab.git_dir / "FETCH_HEAD").stat().st_mtime, 0.0)
    except OSError:
        return None
