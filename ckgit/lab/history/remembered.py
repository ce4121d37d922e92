"""What was found out of commits, which never change: kept in the user's cache, for this very ckgit. It may be deleted at any time.

Another ckgit finds nothing of it, and commits are left behind, so that what nobody asks for goes by itself; see `prune`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ckgit.lab.git.trailers import build
from ckgit.lab.user_folders import user_folder

UNUSED_DAYS = 90  # after which a file goes
MOST_BYTES = 500_000_000  # of all files, beyond which those go that were not used for the longest time
_DAY = 86_400.0  # seconds
_PRUNED = "pruned"  # a file whose time says when it was looked through last
_OURS = re.compile(r"[0-9a-f]{64}\.(json|[0-9]+\.part)")  # the folder has models of `ckgit quickstart`, too


class KeptFile(NamedTuple):
    """A file of what is remembered."""

    used: float  # seconds since 1970, to a day
    bytes: int
    path: Path


def recall(kind: str, *key: str) -> bytes | None:
    """What was remembered of this kind by this key; None where nothing was, and where the user has no home."""
    file = _place(kind, key)
    try:
        if file is None:
            return None
        content, used = file.read_bytes(), file.stat().st_mtime
    except OSError:
        return None
    if time.time() - used > _DAY:
        with contextlib.suppress(OSError):
            os.utime(file)  # it is used
    return content


def remember(kind: str, *key: str, content: bytes) -> None:
    """Keep what was found out; where that fails, it is looked at again the next time."""
    file = _place(kind, key)
    try:
        if file and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(f".{os.getpid()}.part")  # a second process may write the same
            part.write_bytes(content)
            part.replace(file)
            _prune_daily(file.parent.parent)
    except OSError:
        return


def kept_files(folder: Path) -> Iterator[KeptFile]:
    """What is remembered below the user's cache, in no order."""
    for kind in os.scandir(folder) if folder.is_dir() else ():
        for entry in os.scandir(kind) if kind.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):  # another process prunes, too
                if _OURS.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    found = entry.stat(follow_symlinks=False)
                    yield KeptFile(found.st_mtime, found.st_size, Path(entry.path))


def prune(folder: Path, now: float) -> None:
    """Delete what was not used for long, what a killed process left half written, and the oldest beyond what all may take.

    Two processes may do it at once, while others read and write.

    Args:
        now: seconds since 1970.
    """
    total = 0
    for each in sorted(kept_files(folder), reverse=True):
        days = (now - each.used) / _DAY
        total += each.bytes
        if days > UNUSED_DAYS or total > MOST_BYTES or (each.path.suffix == ".part" and days > 1):
            each.path.unlink(missing_ok=True)


def _prune_daily(folder: Path) -> None:
    mark, now = folder / _PRUNED, time.time()
    if not mark.exists() or abs(now - mark.stat().st_mtime) > _DAY:
        mark.touch()  # first, so that whoever comes meanwhile leaves it
        prune(folder, now)


def _place(kind: str, key: tuple[str, ...]) -> Path | None:
    folder = user_folder("XDG_CACHE_HOME")
    named = hashlib.sha256("\0".join([build(), *key]).encode()).hexdigest()
    return folder / kind / f"{named}.json" if folder else None
