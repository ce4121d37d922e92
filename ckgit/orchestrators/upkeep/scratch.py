"""A folder for as long as a command writes or reads an archive. What a command that was killed has left of that kind goes with the next."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ckgit.lab.held import held, made_and_held
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
    with made_and_held(lambda: Path(tempfile.mkdtemp(prefix=prefix, dir=parent))) as folder:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_unless_used(folder: Path) -> None:
    """Remove a folder that has what ours have, and nothing else, and that no process holds."""
    with contextlib.suppress(OSError), held(folder):
        if {each.name for each in folder.iterdir()} <= _OURS:
            shutil.rmtree(folder)
