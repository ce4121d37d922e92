"""That a job was about to be handed over, noted in its folder and once more outside: so it is known when that folder is lost.

    .ckgit/jobs/TOKEN/begun     in the folder of the job, or of the array that is handed over whole
    .ckgit/begun/TOKEN          names the machine

Both are there before anything is handed over. Who is killed in between leaves a job that can be handed over by the next one; but where
only the note outside is left, the job may run, or have run, and nothing tells: it is never handed over again.
"""

from __future__ import annotations

import os
from pathlib import Path

_BEGUN = "begun"


def begin(work: Path, name: str, folder: Path) -> None:
    """Note that a job is about to be handed over from this machine.

    Args:
        name: token of the job, or name of the array.
        folder: where its hand-over leaves its files.

    Raises:
        OSError: it cannot be noted; nothing may be handed over.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _BEGUN).write_bytes(b"")  # first: whoever sees the note outside sees this one, too
    note = _note(work, name)
    note.parent.mkdir(exist_ok=True)
    note.write_text(os.uname().nodename, encoding="utf-8")


def lost_files(work: Path, name: str, folder: Path) -> str | None:
    """The machine that handed over a job whose files are lost, empty where it is not known; None where they are not lost.

    Raises:
        OSError: it cannot be told.
    """
    try:
        machine = _note(work, name).read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None
    return None if (folder / _BEGUN).exists() else machine


def _note(work: Path, name: str) -> Path:
    return work / ".ckgit" / _BEGUN / name
