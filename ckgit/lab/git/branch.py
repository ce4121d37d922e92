"""Moving a branch from one commit to another: whoever loses the race changes nothing and says so."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from ckgit.errors import CkgitError, Exit
from ckgit.lab.git.checkout import promised, refuse_dirty
from ckgit.lab.git.command import DURABLE, OWN_PROGRAMS, GitError, git, git_text, is_ancestor, settings
from ckgit.lab.git.waiting import NoAnswerError, TimeLimit
from ckgit.lab.git.worktrees import Branch, changes_between, checkouts

# Waiting for a ref that another process holds is better than failing: it holds it for a millisecond.
_PATIENT = ("-c", "core.filesRefLockTimeout=2000", "-c", "core.packedRefsTimeout=5000")

_SIGNER = TimeLimit("the program that signs commits", 120.0)  # a person may have to type a passphrase


def empty_tree(root: Path) -> str:
    """Id of the tree without entries, in the repository's hash."""
    is_sha256 = git_text(root, "rev-parse", "--show-object-format") == "sha256"
    return (hashlib.sha256(b"tree 0\0") if is_sha256 else hashlib.sha1(b"tree 0\0", usedforsecurity=False)).hexdigest()


class Hand(NamedTuple):
    """Whose hand a commit is by."""

    variables: Mapping[str, str] = {}  # of git's environment: who commits, and when
    must_sign: bool = False  # whatever the user's settings say


_USERS = Hand()


def commit_tree(root: Path, tree: str, parent: str | None, message: str, hand: Hand = _USERS) -> str:
    """Write a commit object, which nothing names yet, and return its id.

    It is signed where it must be, and where the user's own commits are, unless `ckgit.sign` says otherwise; git itself signs what
    `git commit` makes only.

    Raises:
        CkgitError: USAGE, when git does not know who commits; COMMAND_FAILED, it cannot be signed.
    """
    wanted = settings(root, "ckgit.sign", "commit.gpgsign", kind="bool")
    sign = ["-S"] if hand.must_sign or wanted.get("ckgit.sign", wanted.get("commit.gpgsign")) == "true" else []
    if hand.must_sign:
        _refuse_keyless(root)
    words = ("-c", "user.useConfigOnly=true", "commit-tree", tree, *(["-p", parent] if parent else []), *sign, "-F", "-")
    try:
        answer = git(root, *DURABLE, *words, stdin=message.encode(), env=hand.variables, waiting=_SIGNER if sign else None)
        new = answer.decode().strip()
    except (GitError, NoAnswerError) as error:
        if isinstance(error, GitError) and is_about_identity(error):
            raise no_identity() from None
        if sign:
            raise _unsigned(error, needed=hand.must_sign) from error
        raise
    if not re.fullmatch(rf"[0-9a-f]{{{len(tree)}}}", new):
        what = f"git commit-tree answered {new!r}, which is no commit id"
        raise CkgitError(what, code=Exit.COMMAND_FAILED, state="nothing was committed")
    return new


def _refuse_keyless(root: Path) -> None:
    """Check that git would sign with an ssh key; whether it can, git says itself."""
    found = settings(root, "gpg.format", "user.signingkey", "gpg.ssh.defaultkeycommand")
    if found.pop("gpg.format", "") != "ssh" or not found:
        raise CkgitError(
            "this lab's ckgit.toml asks for signed steps, and git here has no ssh key to sign with",
            code=Exit.USAGE,
            state="nothing was committed",
            next="git config --global gpg.format ssh && git config --global user.signingkey ~/.ssh/id_ed25519.pub; "
            "the default branch must list that key among the allowed signers",
        )


def _unsigned(error: GitError | NoAnswerError, *, needed: bool) -> CkgitError:
    unsigned = (
        "; where there is no agent, as in jobs and cron: git config --global ckgit.sign false leaves ckgit's commits unsigned, "
        "and only those"
    )
    return CkgitError(
        f"the commit cannot be signed: {error.stderr if isinstance(error, GitError) else error.what}",
        code=Exit.COMMAND_FAILED,
        state="nothing was committed",
        next="make the key usable here (an agent holds it, or `git commit -S` asks for it), and run the command again"
        + ("" if needed else unsigned),
    )


def author(root: Path) -> str:
    """Name and e-mail of whoever commits here, as the author of a commit; empty where git does not know."""
    try:
        return git_text(root, "-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT").rpartition(">")[0] + ">"
    except GitError:
        return ""


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
            words = ("update-ref", "--create-reflog", "-m", f"ckgit: {subject}", "--stdin")
            git(branch.root, *DURABLE, *_PATIENT, *words, stdin=transaction, waiting=OWN_PROGRAMS)
        except (GitError, NoAnswerError) as error:
            _explain(branch, old, new, error)
        seen = branch.tip()
        if seen != new and not is_ancestor(branch.root, new, seen):
            _lost(branch, new, seen)


def _explain(branch: Branch, old: str, new: str, error: GitError | NoAnswerError) -> None:
    """Tell a lost race from git's other failures.

    Where the branch holds `new`, there is none: git failed after the swap, or another process wrote the very same commit in the same
    second. A submission is never the same, since its tokens are drawn.
    """
    seen = branch.tip()
    if seen == new or (seen and is_ancestor(branch.root, new, seen)):
        return
    if seen != old:
        _lost(branch, old, seen)
    silent = isinstance(error, NoAnswerError)
    if silent or "ref updates aborted by hook" in error.what:
        raise CkgitError(
            f"the repository's reference-transaction hook {'does not end' if silent else 'refused to move the branch'}: {error.what}",
            code=error.code,
            where=branch.name,
            state="nothing was committed",
            next="git rev-parse --git-path hooks shows where the hook is; run the command again when it lets the branch go on",
        )
    raise error


def _lost(branch: Branch, old: str, seen: str) -> NoReturn:
    raise CkgitError(
        f"somebody else moved the branch: it was at {old[:12] or 'no commit'}, and is now at {seen[:12] or 'no commit'}",
        code=Exit.BRANCH_MOVED,
        where=branch.name,
        state="nothing of yours was committed",
        next=f"git log {branch.name} shows what was done; run the command again to go on from there",
    )
