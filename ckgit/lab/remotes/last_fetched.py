"""A branch held against those of remotes as they were last fetched: brought up to them, or refused. Asks no remote."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import is_closed
from ckgit.formats.listing import plural
from ckgit.lab.branches import last_recorded
from ckgit.lab.git import tips
from ckgit.lab.git.branch import move
from ckgit.lab.git.command import git_text, is_ancestor
from ckgit.lab.git.tips import CLOSED, KnownTips
from ckgit.lab.git.worktrees import Branch, moving
from ckgit.lab.lab import Lab
from ckgit.lab.summary.check import refuse_forged


def forward(lab: Lab, name: str, place: str, ours: str, theirs: str) -> str:
    """Move the local branch (empty: make it) on to what a place has; what is to be told of what it had lost before."""
    at, recorded = last_recorded(lab.root, name, theirs)
    refuse_forged(name, recorded, at, place)
    left = KnownTips(tips.left_at(lab.root, name), ours or theirs, tips.closed_at(lab.root, name))
    also = tips.updates(lab.root, name, left, theirs, closed=bool(recorded and is_closed(recorded.standing)))
    move(lab.branch(name), ours, theirs, subject=f"fetched from {place}", also=also)
    return tips.kept_note(lab.root, name, left)


def catch_up(lab: Lab, name: str, remotes: Mapping[str, str], closed: str = "") -> list[str]:
    """Move a local branch on that is only behind a remote's, or behind what is kept as closed, as that was last fetched. Asks no remote.

    Args:
        remotes: tips of the remotes' branches, by remote.
        closed: commit that is kept as the closed one; empty where there is none.

    Returns:
        What is to be told of it; nothing where it is not behind.

    Raises:
        CkgitError: ILLEGAL_TRANSITION, theirs records a step that is not legal; BRANCH_MOVED, a user's work is in the way.
    """
    told, branch = [], lab.branch(name)
    for place, theirs in _places(name, remotes, closed).items():
        ours = branch.tip()
        if ours and theirs != ours and is_ancestor(lab.root, ours, theirs):
            kept = forward(lab, name, place, ours, theirs)
            told += [f"brought {branch.name} up to {place}, from {ours[:12]} to {theirs[:12]}", *filter(None, [kept])]
    return told


def _places(name: str, remotes: Mapping[str, str], closed: str) -> dict[str, str]:
    """Where commits may be that the local branch lacks."""
    branches = {f"{remote}/exp/{name}": tip for remote, tip in remotes.items()}
    return {**branches, **({f"{CLOSED}{name}": closed} if closed else {})}


def would_catch_up(lab: Lab, name: str, ours: str, remotes: Mapping[str, str], closed: str = "") -> tuple[str, list[str]]:
    """Where `catch_up` would move a local branch to, and what it would tell; moves nothing.

    Args:
        ours: tip of the local branch.
        remotes: tips of the remotes' branches, by remote.
        closed: commit that is kept as the closed one; empty where there is none.

    Raises:
        CkgitError: ILLEGAL_TRANSITION, theirs records a step that is not legal.
    """
    told, branch = [], lab.branch(name).name
    for place, theirs in _places(name, remotes, closed).items():
        if theirs != ours and is_ancestor(lab.root, ours, theirs):
            at, recorded = last_recorded(lab.root, name, theirs)
            refuse_forged(name, recorded, at, place)
            lacking = git_text(lab.root, "rev-list", "--count", f"{ours}..{theirs}")
            ahead = plural(int(lacking), "commit")
            told.append(f"would first bring {branch} up to {place}, {ahead} ahead, from {ours[:12]} to {theirs[:12]}")
            ours = theirs
    return ours, told


def refuse_stale(branch: Branch, ours: str, remotes: Mapping[str, str]) -> None:
    """Check that no remote's branch, as it was last fetched, holds commits that the local one lacks. Asks no remote.

    Args:
        ours: tip of the local branch.
        remotes: tips of the remotes' branches, by remote.

    Raises:
        CkgitError: BRANCH_MOVED, one does; going on here would do the same work twice.
    """
    for remote, theirs in remotes.items():
        if theirs != ours and not is_ancestor(branch.root, theirs, ours):
            ahead = is_ancestor(branch.root, ours, theirs)
            raise behind(branch, remote, ours, theirs) if ahead else diverged(branch, remote, ours, theirs)


def behind(branch: Branch, remote: str, ours: str, theirs: str) -> CkgitError:
    """The error where the local branch lacks commits, and has none of its own."""
    seen = f"{remote}/{branch.name}"
    return CkgitError(
        f"{seen} is ahead of the local branch: somebody took {branch.name[4:]} on from {ours[:12]} to {theirs[:12]}",
        code=Exit.BRANCH_MOVED,
        where=branch.name,
        state="nothing was committed",
        next=f"{moving(branch, theirs, by='merge --ff-only')} brings the local branch there; then try again",
    )


def diverged(branch: Branch, remote: str, ours: str, theirs: str, state: str = "nothing was committed") -> CkgitError:
    """The error where both have commits that the other lacks; or there is no local branch, and yet one on the remote."""
    if not ours:
        get = f"git fetch {shlex.quote(remote)} +{branch.ref}:refs/remotes/{remote}/{branch.name}"
        advice = f"choose another name, or go on with that one: {get} && ckgit status {branch.name[4:]}"
    elif git_text(branch.root, "rev-parse", "--is-shallow-repository") == "true":
        advice = f"git fetch --unshallow {shlex.quote(remote)}, since a shallow clone cannot tell; then try again"
    else:
        aside = f"git branch mine-{branch.name[4:]}-{ours[:7]} {ours[:12]}"
        take = moving(branch, theirs)
        advice = f"git log {ours[:12]}...{theirs[:12]} shows both sides; to keep yours aside and take theirs: {aside} && {take}"
    what = f"{remote} is at {theirs[:12]}, which {ours[:12] or 'nothing here'} does not contain"
    return CkgitError(what, code=Exit.BRANCH_MOVED, where=branch.name, state=state, next=advice)
