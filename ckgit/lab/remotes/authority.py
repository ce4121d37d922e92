"""The remote that decides who owns an experiment, where ckgit.toml names one."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from ckgit.errors import CkgitError, Exit
from ckgit.formats.listing import plural
from ckgit.lab.branches import last_recorded
from ckgit.lab.git import tips
from ckgit.lab.git.branch import move
from ckgit.lab.git.command import git_ok, git_text, is_ancestor
from ckgit.lab.git.tips import KnownTips
from ckgit.lab.git.worktrees import Branch, moving
from ckgit.lab.lab import BRANCHES, Lab
from ckgit.lab.remotes.query import NotReachedError, fetch_branch, push_branch, remote_tip
from ckgit.lab.summary.check import refuse_forged


class RefusedError(CkgitError):
    """The remote does not take the commit, by a rule of its own; nobody else was faster."""


def fetch(lab: Lab, name: str) -> str:
    """Bring a local branch up to the authority's, if it can be by moving forward; without an authority nothing happens.

    Returns what is to be told of commits that the branch had lost and that are kept now; mostly nothing.

    Raises:
        NotReachedError: the remote does not answer, or cannot be read.
        CkgitError: BRANCH_MOVED, both have commits that the other lacks; ILLEGAL_TRANSITION, theirs records a step that is not legal.
    """
    remote = lab.config.authority
    if not remote:
        return ""
    theirs = _fetched(lab, remote, name)
    ours = lab.branch(name).tip()
    if theirs is None or theirs == ours or (ours and is_ancestor(lab.root, theirs, ours)):
        return ""
    if ours and not is_ancestor(lab.root, ours, theirs):
        raise _diverged(lab.branch(name), remote, ours, theirs)
    return _forward(lab, name, remote, ours, theirs)


def _forward(lab: Lab, name: str, remote: str, ours: str, theirs: str) -> str:
    """Move the local branch (empty: make it) on to a remote's; what is to be told of what it had lost before."""
    at, recorded = last_recorded(lab.root, name, theirs)
    refuse_forged(name, recorded, at, remote)
    left = KnownTips(tips.left_at(lab.root, name), ours or theirs)
    move(lab.branch(name), ours, theirs, subject=f"fetched from {remote}", also=tips.updates(lab.root, name, left, theirs))
    return tips.kept_note(lab.root, name, left)


def catch_up(lab: Lab, name: str, remotes: Mapping[str, str]) -> list[str]:
    """Move a local branch on that is only behind a remote's, as that was last fetched. Asks no remote.

    Args:
        remotes: tips of the remotes' branches, by remote.

    Returns:
        What is to be told of it; nothing where it is not behind.

    Raises:
        CkgitError: ILLEGAL_TRANSITION, theirs records a step that is not legal; BRANCH_MOVED, a user's work is in the way.
    """
    told, branch = [], lab.branch(name)
    for remote, theirs in remotes.items():
        ours = branch.tip()
        if theirs != ours and is_ancestor(lab.root, ours, theirs):
            kept = _forward(lab, name, remote, ours, theirs)
            told += [f"brought {branch.name} up to {remote}/{branch.name}, from {ours[:12]} to {theirs[:12]}", *filter(None, [kept])]
    return told


def would_catch_up(lab: Lab, name: str, ours: str, remotes: Mapping[str, str]) -> tuple[str, list[str]]:
    """Where `catch_up` would move a local branch to, and what it would tell; moves nothing.

    Args:
        ours: tip of the local branch.
        remotes: tips of the remotes' branches, by remote.

    Raises:
        CkgitError: ILLEGAL_TRANSITION, theirs records a step that is not legal.
    """
    told, branch = [], lab.branch(name).name
    for remote, theirs in remotes.items():
        if theirs != ours and is_ancestor(lab.root, ours, theirs):
            at, recorded = last_recorded(lab.root, name, theirs)
            refuse_forged(name, recorded, at, remote)
            lacking = git_text(lab.root, "rev-list", "--count", f"{ours}..{theirs}")
            behind = plural(int(lacking), "commit")
            told.append(f"would first bring {branch} up to {remote}/{branch}, {behind} ahead, from {ours[:12]} to {theirs[:12]}")
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
            raise _behind(branch, remote, ours, theirs) if ahead else _diverged(branch, remote, ours, theirs)


def refuse_behind(lab: Lab, name: str, parent: str | None, new: str) -> None:
    """Check that the authority holds nothing that `parent` lacks, apart from `new` itself, which another clone may have made, too.

    Args:
        parent: the commit that an event starts from; None for a new experiment.
        new: the event's own commit.

    Raises:
        CkgitError: as `fetch`; BRANCH_MOVED, too, where the authority is merely ahead.
    """
    remote = lab.config.authority
    theirs = _fetched(lab, remote, name) if remote else None
    if not theirs or theirs == new or (parent and is_ancestor(lab.root, theirs, parent)):
        return
    if parent and is_ancestor(lab.root, parent, theirs):
        raise _behind(lab.branch(name), remote, parent, theirs)
    raise _diverged(lab.branch(name), remote, parent or "", theirs)


def push(lab: Lab, name: str, commit: str) -> None:
    """Push a commit to the authority, never by force; without an authority nothing happens.

    What the remote holds afterwards decides: it has the commit, or somebody else's, or refuses ours.

    Raises:
        RefusedError: COMMAND_FAILED, it does not take the commit, with its own words.
        NotReachedError: it does not answer, and may have the commit or not; or it cannot be read.
        CkgitError: BRANCH_MOVED, somebody else was faster. Where theirs goes on from what the commit was made on, the local branch
            follows, and the commit, after which nothing was done, is kept beside it. In each other case the local commit stands.
    """
    remote = lab.config.authority
    if not remote:
        return
    answer = push_branch(lab, remote, commit, BRANCHES + name)
    if answer.accepted:
        return
    stands = f"commit {commit[:12]} stands on the local branch, and not at {remote}"
    again = f"ckgit status {name}, then go on: the next step pushes it first; or git push {shlex.quote(remote)} exp/{name}"
    try:
        theirs = _fetched(lab, remote, name)
    except NotReachedError as error:
        what = f"whether {remote} has commit {commit[:12]} is not known: {answer.words or error.what}"
        raise NotReachedError(what, code=error.code, where=f"exp/{name}", state=stands.partition(",")[0], next=again) from error
    if theirs and is_ancestor(lab.root, commit, theirs):
        return  # another clone made the same commit, or git lost the remote's answer
    if theirs and not is_ancestor(lab.root, theirs, commit):
        raise _lost_race(lab, name, remote, commit, theirs) or _diverged(lab.branch(name), remote, commit, theirs, state=stands)
    if answer.retryable:
        what = f"{remote} was busy and did not take commit {commit[:12]}: {answer.words}"
        raise NotReachedError(what, code=Exit.UNKNOWN, where=f"exp/{name}", state=stands, next=again)
    raise RefusedError(
        f"{remote} refused commit {commit[:12]}: {answer.words}",
        code=Exit.COMMAND_FAILED,
        where=f"exp/{name}",
        state=f"{stands}; what waits for the push did not happen",
        next=f"settle that with those who run {remote}; then {again}",
    )


def _lost_race(lab: Lab, name: str, remote: str, ours: str, theirs: str) -> CkgitError | None:
    """Have the local branch follow the one who was faster: what comes after a commit waits for the push, so ours did nothing.

    None where that cannot be: theirs begins elsewhere, or a user's work is in the way.
    """
    if not is_ancestor(lab.root, f"{ours}^", theirs) or is_ancestor(lab.root, f"{ours}^", lab.base):
        return None
    also = tips.updates(lab.root, name, KnownTips(ours, theirs), theirs)
    try:
        move(lab.branch(name), ours, theirs, subject=f"fetched from {remote}: somebody else was faster", also=also)
    except CkgitError:
        return None
    return CkgitError(
        f"somebody else was faster: {remote} is at {theirs[:12]}",
        code=Exit.BRANCH_MOVED,
        where=f"exp/{name}",
        state=f"nothing of yours was done; the local branch follows, and your commit is kept as {tips.rescue_ref(name, ours)}",
        next=f"ckgit status {name} shows what they did; ckgit advance {name} goes on from there",
    )


def _fetched(lab: Lab, remote: str, name: str) -> str | None:
    """Tip of the remote's branch, with its objects here; None when it has no such branch."""
    ref = BRANCHES + name
    tip = remote_tip(lab, remote, ref)
    if tip and not git_ok(lab.root, "rev-parse", "--quiet", "--verify", f"{tip}^{{commit}}"):
        fetch_branch(lab, remote, ref, f"refs/remotes/{remote}/exp/{name}")
    return tip


def _behind(branch: Branch, remote: str, ours: str, theirs: str) -> CkgitError:
    """The local branch lacks commits, and has none of its own."""
    seen = f"{remote}/{branch.name}"
    return CkgitError(
        f"{seen} is ahead of the local branch: somebody took {branch.name[4:]} on from {ours[:12]} to {theirs[:12]}",
        code=Exit.BRANCH_MOVED,
        where=branch.name,
        state="nothing was committed",
        next=f"{moving(branch, theirs, by='merge --ff-only')} brings the local branch there; then try again",
    )


def _diverged(branch: Branch, remote: str, ours: str, theirs: str, state: str = "nothing was committed") -> CkgitError:
    """Both have commits that the other lacks; or there is no local branch, and yet one on the remote."""
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
