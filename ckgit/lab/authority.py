"""The remote that decides who owns an experiment, where ckgit.toml names one."""

from __future__ import annotations

from pathlib import Path

from ckgit.experiment.errors import CkgitError, Exit
from ckgit.lab import tips
from ckgit.lab.branch import move
from ckgit.lab.git import GitError, git, git_ok, git_text
from ckgit.lab.lab import BRANCHES, Lab
from ckgit.lab.snapshot import Snapshot
from ckgit.lab.tips import Left


def fetch(lab: Lab, name: str) -> None:
    """Bring a local branch up to the authority's, if it can be by moving forward; without an authority nothing happens.

    Raises:
        CkgitError: UNKNOWN, the remote does not answer; BRANCH_MOVED, both have commits that the other lacks.
    """
    remote = lab.config.authority
    if not remote:
        return
    theirs = _fetched(lab, remote, name)
    ours = lab.branch(name).tip()
    if theirs is None or theirs == ours or (ours and _is_ancestor(lab.root, theirs, ours)):
        return
    if ours and not _is_ancestor(lab.root, ours, theirs):
        raise _diverged(remote, name, ours, theirs)
    also = tips.updates(lab.root, name, Left(tips.left_at(lab.root, name), ours or theirs), theirs)
    move(lab.branch(name), ours, theirs, subject=f"fetched from {remote}", also=also)


def refuse_stale(snapshot: Snapshot) -> None:
    """Check that no remote's branch, as it was last fetched, holds commits that the local one lacks. Asks no remote.

    Raises:
        CkgitError: BRANCH_MOVED, one does; going on here would do the same work twice.
    """
    name, ours = snapshot.name, snapshot.tip
    for remote, theirs in snapshot.remotes.items():
        if snapshot.local and theirs != ours and not _is_ancestor(snapshot.root, theirs, ours):
            if not _is_ancestor(snapshot.root, ours, theirs):
                raise _diverged(remote, name, ours, theirs)
            branch = f"{remote}/exp/{name}"
            raise CkgitError(
                f"{branch} is ahead of the local branch: somebody took {name} on from {ours[:12]} to {theirs[:12]}",
                code=Exit.BRANCH_MOVED,
                where=f"exp/{name}",
                state="nothing was committed",
                next=f"git fetch . {branch}:exp/{name} brings the local branch there; then try again",
            )


def refuse_behind(lab: Lab, name: str, parent: str | None) -> None:
    """Check that the authority holds nothing that `parent` lacks.

    Raises:
        CkgitError: as `fetch`.
    """
    remote = lab.config.authority
    theirs = _fetched(lab, remote, name) if remote else None
    if theirs and not (parent and _is_ancestor(lab.root, theirs, parent)):
        raise _diverged(remote, name, parent or "nothing", theirs)


def push(lab: Lab, name: str, commit: str) -> None:
    """Push a commit to the authority, never by force; without an authority nothing happens.

    Raises:
        CkgitError: BRANCH_MOVED, it was rejected; COMMAND_FAILED, the remote could not be reached. The commit stands.
    """
    remote = lab.config.authority
    if not remote:
        return
    try:
        git(lab.root, "push", "--porcelain", remote, f"{commit}:{BRANCHES}{name}")
    except GitError as error:
        rejected = "[rejected]" in error.stderr or "[remote rejected]" in error.stderr or "failed to push some refs" in error.stderr
        raise CkgitError(
            f"{remote} {'rejected' if rejected else 'did not receive'} commit {commit[:12]}: {error.stderr}",
            code=Exit.BRANCH_MOVED if rejected else Exit.COMMAND_FAILED,
            where=f"exp/{name}",
            state=f"commit {commit[:12]} stands on the local branch; no job was handed over",
            next=_compare(remote, name) if rejected else "run the same command again once the remote answers; it pushes first",
        ) from error


def _fetched(lab: Lab, remote: str, name: str) -> str | None:
    """Tip of the remote's branch, with its objects here; None when it has no such branch."""
    ref = BRANCHES + name
    try:
        listed = git_text(lab.root, "ls-remote", "--", remote, ref)
        tip = listed.split("\t")[0] if listed else None
        if tip and not git_ok(lab.root, "rev-parse", "--quiet", "--verify", f"{tip}^{{commit}}"):
            git(lab.root, "fetch", "--no-tags", "--no-write-fetch-head", "--", remote, f"+{ref}:refs/remotes/{remote}/exp/{name}")
    except GitError as error:
        raise CkgitError(
            f"the authority {remote} does not answer: {error.stderr}",
            code=Exit.UNKNOWN,
            where=f"exp/{name}",
            state="nothing was committed",
            next="try again later; `authority` in ckgit.toml names the remote",
        ) from error
    return tip


def _is_ancestor(root: Path, older: str, newer: str) -> bool:
    return git_ok(root, "merge-base", "--is-ancestor", older, newer)


def _compare(remote: str, name: str) -> str:
    return (
        f"git fetch {remote} && git log exp/{name}...{remote}/exp/{name} shows both sides; "
        f"to keep yours aside and take theirs: git branch mine-{name} exp/{name} && git branch -f exp/{name} {remote}/exp/{name}"
    )


def _diverged(remote: str, name: str, ours: str, theirs: str) -> CkgitError:
    return CkgitError(
        f"{remote} is at {theirs[:12]}, which {ours[:12]} does not contain",
        code=Exit.BRANCH_MOVED,
        where=f"exp/{name}",
        state="nothing was committed",
        next=_compare(remote, name),
    )
