"""What was found out of commits, which never change: kept in the user's cache, for this very ckgit. It may be deleted at any time."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ckgit.lab.git.trailers import build
from ckgit.lab.user_folders import user_folder


def recall(kind: str, *key: str) -> bytes | None:
    """What was remembered of this kind by this key; None where nothing was, and where the user has no home."""
    file = _place(kind, key)
    try:
        return file.read_bytes() if file else None
    except OSError:
        return None


def remember(kind: str, *key: str, content: bytes) -> None:
    """Keep what was found out; where that fails, it is looked at again the next time."""
    file = _place(kind, key)
    try:
        if file and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(f".{os.getpid()}.part")  # a second process may write the same
            part.write_bytes(content)
            part.replace(file)
    except OSError:
        return


def _place(kind: str, key: tuple[str, ...]) -> Path | None:
    folder = user_folder("XDG_CACHE_HOME")
    named = hashlib.sha256("\0".join([build(), *key]).encode()).hexdigest()
    return folder / kind / f"{named}.json" if folder else None
