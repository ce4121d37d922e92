"""The refs that a lab's results follow from, in one call of git."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ckgit.lab.git.command import git, unreadable
from ckgit.lab.git.tips import CLOSED, DELETED, RESCUED, TIPS
from ckgit.lab.lab import BRANCHES

_REFS = (BRANCHES, "refs/remotes/*/exp/*", TIPS, RESCUED, CLOSED, DELETED)


def refs_text(root: Path) -> bytes:
    """All refs that sources follow from, as git prints them."""
    return git(root, "for-each-ref", "--format=%(refname) %(objectname)", *_REFS)


def lost_in(root: Path, refs: bytes, base: str) -> list[str]:
    """The commits that refs lead to and that git has lost, or one of their history: what was read of them before is not shown any more."""
    commits = {line.rpartition(b" ")[2].decode() for line in refs.splitlines()}
    return sorted(unreadable(root, commits, base)) if commits else []


def mark_of(refs: bytes, *others: str) -> str:
    """What changes when any of the refs, or anything else that the tables follow from, does."""
    return hashlib.sha256(b"\0".join([refs, *(each.encode() for each in others)])).hexdigest()[:24]
