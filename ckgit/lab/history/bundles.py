"""Refs and all that they need in one file, as `git bundle` writes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ckgit.lab.git.command import DURABLE, git, git_lines


def refs_at(root: Path, *patterns: str) -> dict[str, str]:
    """Commits of refs, by ref."""
    lines = git_lines(root, "for-each-ref", "--format=%(refname) %(objectname)", *patterns)
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in lines}


def write_bundle(root: Path, file: Path, refs: Sequence[str]) -> None:
    """Write a bundle of refs with their whole history, so that it can be read in any repository.

    Raises:
        GitError: COMMAND_FAILED, it cannot be written.
    """
    git(root, "bundle", "create", "--quiet", str(file), *refs)


def refs_in(root: Path, file: Path) -> dict[str, str]:
    """Commits of a bundle's refs, by ref.

    Raises:
        GitError: COMMAND_FAILED, it is none.
    """
    lines = git_lines(root, "bundle", "list-heads", str(file))
    return {line.partition(" ")[2]: line.partition(" ")[0] for line in lines}


def read_bundle(root: Path, file: Path, refs: Sequence[str]) -> None:
    """Take refs of a bundle with their objects, which git checks, all or none; none of them may be there.

    Raises:
        GitError: COMMAND_FAILED, it is damaged, or has no such ref.
    """
    plain = ("--atomic", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules", "--quiet")
    git(root, *DURABLE, "-c", "fetch.fsckObjects=true", "fetch", *plain, str(file), *(f"{ref}:{ref}" for ref in refs))
