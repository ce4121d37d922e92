"""Where ckgit left each experiment's branch: a ref beside it, by which commits of a rewritten or deleted branch are found again.

`refs/ckgit/tips/NAME` moves with each commit that ckgit makes, in the same transaction as the branch. What a branch has lost by then
is kept as `refs/ckgit/rescue/NAME/COMMIT`. Neither is ever pushed. `refs/ckgit/closed/NAME` is there as long as the experiment is closed,
and keeps its commits when the branch is deleted; it is pushed with the branch. A branch that `ckgit delete` took away is kept as
`refs/ckgit/deleted/NAME/COMMIT`, in this clone alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ckgit.lab.git.command import git_lines, git_text, is_ancestor

TIPS = "refs/ckgit/tips/"
RESCUED = "refs/ckgit/rescue/"
# Where a branch is kept that was closed, as NAME. Another history that had its name is kept, by hand, as NAME@COMMIT or below NAME; git
# has no ref beside others below it, so that such an experiment could not be closed.
CLOSED = "refs/ckgit/closed/"
DELETED = "refs/ckgit/deleted/"


def rescue_ref(name: str, commit: str) -> str:
    """Where a commit is kept that the experiment's branch has lost."""
    return f"{RESCUED}{name}/{commit[:12]}"


def beside_ref(name: str, commit: str) -> str:
    """Where another history is kept that had the experiment's name."""
    return f"{CLOSED}{name}@{commit[:12]}"


def deleted_ref(name: str, commit: str) -> str:
    """Where a deleted branch of an experiment is kept."""
    return f"{DELETED}{name}/{commit}"


def deleted(root: Path, name: str) -> list[str]:
    """Commits at which branches of an experiment were deleted, the newest commit last; of one second in any order."""
    return git_lines(root, "for-each-ref", "--sort=committerdate", "--format=%(objectname)", f"{DELETED}{name}/")


def left_at(root: Path, name: str) -> str:
    """The commit at which ckgit left the branch; empty where it never made one here."""
    return git_text(root, "for-each-ref", "--format=%(objectname)", f"{TIPS}{name}")


def closed_at(root: Path, name: str) -> str:
    """The commit that is kept of an experiment as long as it is closed; empty where there is none."""
    ref = f"{CLOSED}{name}"
    lines = git_lines(root, "for-each-ref", "--format=%(refname) %(objectname)", ref)  # those below it, too
    return next((line.removeprefix(f"{ref} ") for line in lines if line.startswith(f"{ref} ")), "")


def all_left(root: Path) -> dict[str, str]:
    """Where ckgit left every branch, by name of the experiment."""
    lines = git_lines(root, "for-each-ref", "--format=%(refname) %(objectname)", TIPS)
    return {ref.removeprefix(TIPS): commit for ref, commit in (line.split(" ") for line in lines)}


def rescued(root: Path, name: str) -> list[str]:
    """Commits that are kept because the branch lost them."""
    return git_lines(root, "for-each-ref", "--format=%(objectname)", f"{RESCUED}{name}/")


def rewritten(root: Path) -> frozenset[str]:
    """Experiments whose branch has ever lost commits that are kept."""
    lines = git_lines(root, "for-each-ref", "--format=%(refname)", RESCUED)
    return frozenset(ref.removeprefix(RESCUED).rpartition("/")[0] for ref in lines)


def is_lost(root: Path, commit: str, tip: str) -> bool:
    """Whether a branch at `tip` (empty: there is none) does not hold a commit that ckgit made on it."""
    return bool(commit) and commit != tip and not (tip and is_ancestor(root, commit, tip))


class KnownTips(NamedTuple):
    """Where ckgit left a branch before a commit, and what the commit is made on."""

    commit: str  # empty where ckgit never made one here
    base: str
    closed: str = ""  # commit that was kept as the closed one; empty where there is none


def updates(root: Path, name: str, left: KnownTips, new: str, *, closed: bool) -> list[str]:
    """What else the transaction does that moves a branch to `new`, as lines for `git update-ref --stdin`.

    Args:
        closed: whether the experiment is closed there.
    """
    kept = [f"update {rescue_ref(name, left.commit)} {left.commit}"] if is_lost(root, left.commit, left.base) else []
    if closed:
        kept.append(f"update {CLOSED}{name} {new}")
    elif left.closed and not is_lost(root, left.closed, new):  # the branch holds it from here on
        kept.append(f"delete {CLOSED}{name} {left.closed}")
    return [f"update {TIPS}{name} {new}", *kept]


def kept_note(root: Path, name: str, left: KnownTips) -> str:
    """What is to be told of what such a commit keeps; empty where nothing was lost."""
    if not is_lost(root, left.commit, left.base):
        return ""
    kept = rescue_ref(name, left.commit)
    return f"what exp/{name} held before it was rewritten or deleted is kept as {kept} (git branch NAME {kept} brings it back)"
