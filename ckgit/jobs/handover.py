"""That a job was about to be handed over, noted in its folder and once more outside: so it is known when that folder is lost.

    .ckgit/jobs/TOKEN/begun     .ckgit/arrays/ARRAY/begun     in the folder of the job, or of the array that is handed over whole
    .ckgit/begun/jobs/TOKEN     .ckgit/begun/arrays/ARRAY     outside; names the machine

Both are there before anything is handed over. Who is killed in between leaves a job that can be handed over by the next one; but where
only the note outside is left, the job may run, or have run, and nothing tells: it is never handed over again.
"""

from __future__ import annotations

import os
from pathlib import Path

from ckgit.jobs.folder import jobs_folder

_BEGUN = "begun"


def begin_handover(work: Path, folder: Path) -> None:
    """Note that a job is about to be handed over from this machine.

    Args:
        folder: where its hand-over leaves its files; that of its array, where it is handed over in one.

    Raises:
        OSError: it cannot be noted; nothing may be handed over.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _BEGUN).write_bytes(b"")  # first: whoever sees the note outside sees this one, too
    note = _note(work, folder)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(os.uname().nodename, encoding="utf-8")


def lost_files(work: Path, folder: Path) -> str | None:
    """The machine that handed over a job whose files are lost, empty where it is not known; None where they are not lost.

    Raises:
        OSError: it cannot be told.
    """
    try:
        machine = _note(work, folder).read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None
    return None if (folder / _BEGUN).exists() else machine


def noted_folder(work: Path) -> Path:
    """The folder that has a note of each job that was handed over alone, named by its token."""
    return _note(work, jobs_folder(work))


def _note(work: Path, folder: Path) -> Path:
    own = work / ".ckgit"
    return own / _BEGUN / folder.relative_to(own)
