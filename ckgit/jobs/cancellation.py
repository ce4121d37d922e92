"""The mark that keeps a job from starting, `.ckgit/jobs/TOKEN/cancelled`. What runs is signalled, whether it can be written or not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.formats.listing import NAMED, in_words
from ckgit.jobs.folder import job_folder


def mark(work: Path, token: str) -> OSError | None:
    """Keep a job from starting, one that was not handed over among them: another ckgit may be about to. Or why that cannot be written."""
    folder = job_folder(work, token)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cancelled").touch()
    except OSError as error:
        return error
    return None


def unmarked(work: Path, jobs: Mapping[str, OSError]) -> CkgitError:
    """The error for jobs that have not started and could not be marked, with the reason for each."""
    error, name = next(iter(jobs.values())), work.parent.name
    return CkgitError(
        f"cannot be kept from starting, if a ckgit is just about to hand it over: {in_words(jobs, NAMED)} ({error.strerror})",
        code=Exit.COMMAND_FAILED,
        where=str(work),
        state="what runs was ended",
        next=f"make room there or mend the permissions; where ckgit status {name} shows that one runs, ckgit cancel {name} ends it",
    )
