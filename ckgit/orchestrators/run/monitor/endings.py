"""When a job that the scheduler has no more counts as ended: a file system may take its time to show what the job left."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from ckgit.experiment.jobs import Attempt, FailureClass
from ckgit.experiment.scheduler import JobEnding, JobState, JobStatus
from ckgit.jobs.folder import job_folder, read_status
from ckgit.orchestrators.run.collect import EndedAttempt, without_status


@dataclass
class Endings:
    """Remembers since when jobs of one work tree are gone, and which of them have ended."""

    work: Path
    ended: dict[str, EndedAttempt] = field(default_factory=dict)  # by token
    damage: dict[str, str] = field(default_factory=dict)  # by token: why a status file is none
    _gone_since: dict[str, float] = field(default_factory=dict)
    _unreadable_since: dict[str, float] = field(default_factory=dict)

    def settle(self, attempt: Attempt, gone: JobStatus, grace: float) -> JobStatus:
        """A job that is gone has ended when its status says so, or when that has not come in time; one that cannot be read is unknown.

        Args:
            grace: seconds that the file system may take.
        """
        token, now = attempt.token, time.monotonic()
        status, damage = None, ""
        if gone.ending and gone.ending.failure is FailureClass.REFUSED:
            self.ended[token] = EndedAttempt(attempt, None, gone.ending.sentence, FailureClass.REFUSED)
            return gone
        try:
            status = read_status(self.work, token)
        except ValueError as error:
            damage = self.damage[token] = str(error)
        except OSError as error:
            self._gone_since.pop(token, None)  # what shows once it can be read again has its time to settle, too
            late = now - self._unreadable_since.setdefault(token, now) >= grace
            return JobStatus(JobState.UNKNOWN, gone.job_id, f"{token}: its status cannot be read: {error.strerror}") if late else gone
        self._unreadable_since.pop(token, None)
        if not _told(gone) and (job_folder(self.work, token) / "cancelled").exists():
            gone = gone._replace(ending=JobEnding(FailureClass.CANCELLED, "cancelled by ckgit cancel"))  # which could not record it
        if status:
            self.ended[token] = EndedAttempt(attempt, status, job_id=gone.job_id, ending=gone.ending)
        elif now - self._gone_since.setdefault(token, now) >= grace:
            failure, reason = (FailureClass.LOST, damage) if damage and not _told(gone) else without_status(self.work, token, gone.ending)
            self.ended[token] = EndedAttempt(attempt, None, reason, failure, job_id=gone.job_id, ending=gone.ending)
        return gone


def _told(gone: JobStatus) -> bool:
    """Whether the scheduler says what was wrong."""
    return bool(gone.ending and gone.ending.failure)
