"""A job's folder in its work tree, `.ckgit/jobs/TOKEN/`: where its claim, its status and its output lie.

`ckgit status` asks for folders alone, and has no time for pydantic.
"""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from ckgit.errors import CkgitError, Exit
from ckgit.formats.plain_json import read_unique

if TYPE_CHECKING:
    from ckgit.experiment.jobs import Status


def is_there(work: Path) -> bool:
    """Whether a work tree is on this machine.

    Raises:
        CkgitError: UNKNOWN, that cannot be seen: another user may have it for themselves.
    """
    try:
        return stat.S_ISDIR(work.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise CkgitError(
            f"the work tree cannot be seen: {error.strerror}",
            code=Exit.UNKNOWN,
            where=str(work),
            state="nothing was changed",
            next="run the same command as the user whose folder it is, or have them give you access",
        ) from None


def refuse_unwritable(work: Path) -> None:
    """Raise where this user cannot write to a work tree: a job that they hand over would be refused, and its attempt be spent.

    Raises:
        CkgitError: COMMAND_FAILED, with the user whose folder it is.
    """
    if not os.access(jobs_folder(work) if jobs_folder(work).exists() else work, os.W_OK):
        raise CkgitError(
            f"the work tree belongs to {owner_of_folder(work)}, and you cannot write there",
            code=Exit.COMMAND_FAILED,
            where=str(work),
            state="nothing was changed",
            next="run the same command as that user, or have them give you access",
        )


def owner_of_folder(folder: Path) -> str:
    """The user whose folder it is.

    Raises:
        OSError: it cannot be told.
    """
    return user_name(folder.stat().st_uid)


def user_name(user: int) -> str:
    """A user's name, or their number where they have none here."""
    try:
        return pwd.getpwuid(user).pw_name
    except (KeyError, OverflowError):
        return f"user {user}"


def jobs_folder(work: Path) -> Path:
    """The folder of all jobs of a work tree; each has one there, named by its token."""
    return work / ".ckgit" / "jobs"


def job_folder(work: Path, token: str) -> Path:
    """The folder of one job's files."""
    return jobs_folder(work) / token


def read_status(work: Path, token: str) -> Status | None:
    """How a job said it ended, or None when it has not said so yet.

    Raises:
        ValueError: there is a status file, and it is not one, or another job's.
        OSError: it cannot be read.
    """
    from pydantic import ValidationError

    from ckgit.experiment.jobs import Status

    try:
        content = (job_folder(work, token) / "status.json").read_bytes()
    except FileNotFoundError:
        return None
    try:
        status = Status.model_validate_json(content)
        read_unique(content)
    except ValidationError as error:
        raise ValueError(f"its status.json is damaged: {error.errors()[0]['msg']}") from None
    except ValueError as error:
        raise ValueError(f"its status.json is damaged: {error}") from None
    if status.token != token:
        raise ValueError(f"its status.json belongs to {status.token}")
    return status
