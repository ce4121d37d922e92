"""Moving a branch from one commit to another: whoever loses the race changes nothing and says so."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ckgit.experiment.errors import CkgitError, Exit
from ckgit.lab.checkout import promised, refuse_dirty
from ckgit.lab.git import DURABLE, GitError, git, git_ok, git_text
from ckgit.lab.worktrees import Branch, changes_between, checkouts

# Waiting for a ref that another process holds is better than failing: it holds it for a millisecond.
_PATIENT = ("-c", "core.filesRefLockTimeout=2000", "-c", "core.packedRefsTimeout=5000")


def empty_tree(root: Path) -> str:
    """Id of the tree without entries, in the repository's hash."""
    is_sha256 = git_text(root, "rev-parse", "--show-object-format") == "sha256"
    return (hashlib.sha256(b"tree 0\0") if is_sha256 else hashlib.sha1(b"tree 0\0", usedforsecurity=False)).hexdigest()


def commit_tree(root: Path, tree: str, parent: str | None, message: str) -> str:
    """Write a commit object, which nothing names yet, and return its id.

    Raises:
        CkgitError: USAGE, when git does not know who commits.
    """
    settings = ("-c", "user.useConfigOnly=true", "-c", "i18n.commitEncoding=UTF-8")
    parents = ["-p", parent] if parent else []
    try:
        new = git(root, *DURABLE, *settings, "commit-tree", tree, *parents, "-F", "-", stdin=message.encode()).decode().strip()
    except GitError as error:
        if not is_about_identity(error):
            raise
        raise no_identity() from None
    if not re.fullmatch(rf"[0-9a-f]{{{len(tree)}}}", new):
        what = f"git commit-tree answered {new!r}, which is no commit id"
        raise CkgitError(what, code=Exit.COMMAND_FAILED, state="nothing was committed")
    return new


def is_about_identity(error: GitError) -> bool:
    """Whether git failed because it does not know who the user is."""
    return "Please tell me who you are" in error.stderr or "empty ident name" in error.stderr


def no_identity() -> CkgitError:
    """The error for a user whom git does not know."""
    return CkgitError(
        "git does not know who you are, so nothing can be committed",
        code=Exit.USAGE,
        state="nothing was written",
        next='git config --global user.name "Your Name" && git config --global user.email you@example.org',
    )


def move(branch: Branch, old: str, new: str, *, subject: str, also: Sequence[str] = ()) -> None:
    """Move a branch from `old` (empty: it must not exist) to `new`, and clean checkouts of it along.

    Args:
        also: further lines of the same transaction, as `git update-ref --stdin` takes them.

    Raises:
        CkgitError: BRANCH_MOVED, somebody else was faster, or a user's work is in the way; COMMAND_FAILED, git's own failure.
    """
    places = checkouts(branch)
    before = old or empty_tree(branch.root) if places else old
    for place in places:
        refuse_dirty(branch, place, changes_between(branch.root, before, new))
    with promised(branch, places, before, new):
        try:
            lines = [f"update {branch.ref} {new} {old or '0' * len(new)}", *also]
            transaction = "".join(f"{line}\n" for line in lines).encode()
            git(branch.root, *DURABLE, *_PATIENT, "update-ref", "--create-reflog", "-m", f"ckgit: {subject}", "--stdin", stdin=transaction)
        except GitError as error:
            _explain(branch, old, new, error)
        seen = branch.tip()
        if seen != new and not git_ok(branch.root, "merge-base", "--is-ancestor", new, seen):
            _lost(branch, new, seen)


def _explain(branch: Branch, old: str, new: str, error: GitError) -> None:
    """Tell a lost race from git's other failures; a swap that was made although git failed is none.

    Another process may have written the very same commit in the same second: then the branch is at `new`, and yet this one lost.
    """
    seen = branch.tip()
    refused = "but expected" in error.stderr or "reference already exists" in error.stderr
    if seen == new and not refused:
        return
    if seen != old:
        _lost(branch, old, seen)
    raise error


def _lost(branch: Branch, old: str, seen: str) -> NoReturn:
    raise CkgitError(
        f"somebody else moved the branch: it was at {old[:12] or 'no commit'}, and is now at {seen[:12] or 'no commit'}",
        code=Exit.BRANCH_MOVED,
        where=branch.name,
        state="nothing of yours was committed",
        next=f"git log {branch.name} shows what was done; run the command again to go on from there",
    )
