"""Where files lie that are for readers."""

from __future__ import annotations

from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.lab.export import hide_from_git
from ckgit.lab.lab import Lab


def reader_folder(lab: Lab, kind: str, name: str) -> Path:
    """The folder of an experiment's files of a kind; under `.ckgit/`, which git ignores.

    Args:
        kind: of files, e.g. reports.

    Raises:
        CkgitError: COMMAND_FAILED, it cannot be made.
    """
    folder = lab.home / ".ckgit" / kind / name
    try:
        hide_from_git(lab, folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"it cannot be written: {error.strerror}"
        onward = "make room there, or name another place"
        raise CkgitError(what, code=Exit.COMMAND_FAILED, where=error.filename or str(folder), next=onward) from None
    return folder
