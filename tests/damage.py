"""What becomes of a repository on a bad disk."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import run_git


def lose(lab: Path, name: str) -> str:
    """Take an object out of a repository; its id."""
    oid = run_git(lab, "rev-parse", name)
    file = lab / ".git/objects" / oid[:2] / oid[2:]
    file.unlink()
    return oid


def spoil(lab: Path, name: str) -> str:
    """Write nonsense into an object; its id."""
    oid = lose(lab, name)
    (lab / ".git/objects" / oid[:2] / oid[2:]).write_bytes(b"no object")
    return oid


def empty(lab: Path, name: str) -> str:
    """Leave nothing in an object's file, as a machine does that stops before it is on the disk; its id."""
    oid = lose(lab, name)
    (lab / ".git/objects" / oid[:2] / oid[2:]).touch()
    return oid
