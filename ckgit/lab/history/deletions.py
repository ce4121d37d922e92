"""Deleted branches that can be brought back: `refs/ckgit/deleted/NAME/COMMIT` keeps each one. These refs stay in this clone."""

from __future__ import annotations

from pathlib import Path

from ckgit.experiment.state import State
from ckgit.lab.branches import last_recorded
from ckgit.lab.git.command import DURABLE, git, git_lines
from ckgit.lab.git.tips import DELETED, TIPS, deleted_ref

_WITH_RESULTS = (State.EVALUATED, State.ANALYZED)


def keep(root: Path, name: str, commit: str) -> None:
    """Keep the commit of a branch, before that is deleted anywhere."""
    _transaction(root, "keep a branch that is to be deleted", f"update {deleted_ref(name, commit)} {commit}")


def delete_branch(root: Path, ref: str, commit: str) -> None:
    """Delete a branch that is at a commit, and kept.

    Raises:
        GitError: COMMAND_FAILED, it is not there any more.
    """
    _transaction(root, f"delete {ref}", f"delete {ref} {commit}")


def bring_back(root: Path, name: str, ref: str, commit: str) -> None:
    """Make the branch again that was deleted at a commit; it is kept as deleted no more.

    Raises:
        GitError: COMMAND_FAILED, there is a branch.
    """
    lines = (f"create {ref} {commit}", f"update {TIPS}{name} {commit}", f"delete {deleted_ref(name, commit)}")
    _transaction(root, "bring a deleted branch back", *lines)


def names_with_results(root: Path) -> frozenset[str]:
    """Experiments whose branch was deleted when it had results: their names are not free."""
    lines = git_lines(root, "for-each-ref", "--format=%(refname) %(objectname)", DELETED)
    kept = [(ref.removeprefix(DELETED).rpartition("/")[0], commit) for ref, commit in (line.split(" ") for line in lines)]
    return frozenset(name for name, commit in kept if _has_results(root, name, commit))


def _has_results(root: Path, name: str, commit: str) -> bool:
    recorded = last_recorded(root, name, commit)[1]
    return recorded is not None and recorded.target in _WITH_RESULTS


def _transaction(root: Path, subject: str, *lines: str) -> None:
    text = "".join(f"{line}\n" for line in lines)
    git(root, *DURABLE, "update-ref", "--create-reflog", "-m", f"ckgit: {subject}", "--stdin", stdin=text.encode())
