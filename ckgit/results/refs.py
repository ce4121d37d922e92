"""The refs that a lab's results follow from, in one call of git."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ckgit.lab.git.command import git
from ckgit.lab.git.tips import CLOSED, DELETED, RESCUED, TIPS
from ckgit.lab.lab import BRANCHES

_REFS = (BRANCHES, "refs/remotes/*/exp/*", TIPS, RESCUED, CLOSED, DELETED)


def refs_text(root: Path) -> bytes:
    """All refs that sources follow from, as git prints them."""
    return git(root, "for-each-ref", "--format=%(refname) %(objectname)", *_REFS)


def mark_of(refs: bytes, *others: str) -> str:
    """What changes when any of the refs, or anything else that the tables follow from, does."""
    return hashlib.sha256(b"\0".join([refs, *(each.encode() for each in others)])).hexdigest()[:24]
