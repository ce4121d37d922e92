"""A folder for as long as a command writes or reads an archive. What a command that was killed has left of that kind goes with the next."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ckgit.orchestrators.upkeep.manifest import BUNDLE_FILE, FILES

ARCHIVE_FILE = "archive"
_OURS = {ARCHIVE_FILE, BUNDLE_FILE, FILES.rstrip("/")}
_CHANCE = r"[a-z0-9_]{8}"  # as `tempfile` makes names


@contextlib.contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder, which is gone afterwards.

    Raises:
        OSError: it cannot be made.
    """
    for left in parent.iterdir():
        if re.fullmatch(re.escape(prefix) + _CHANCE, left.name) and left.is_dir() and not left.is_symlink():
            _remove_unless_used(left)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True) as folder, contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # a file system without locks: there nothing that is left is removed either
            held.enter_context(_held(Path(folder)))
        yield Path(folder)


def _remove_unless_used(folder: Path) -> None:
    """Remove a folder that has what ours have, and nothing else, and that no process holds."""
    with contextlib.suppress(OSError), _held(folder):
        if {each.name for each in folder.iterdir()} <= _OURS:
            shutil.rmtree(folder)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Raises OSError where another process holds it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
