"""What a remote's default branch, as it was last fetched, has and the local one lacks. Asks no remote."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import NamedTuple

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
