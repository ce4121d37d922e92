"""A job's folder in its work tree, `.ckgit/jobs/TOKEN/`: where its claim, its status and its output lie.

`ckgit status` asks for folders alone, and has no time for pydantic.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ckgit.formats.plain_json import read_unique

if TYPE_CHECKING:
    from ckgit.experiment.jobs import Status


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
