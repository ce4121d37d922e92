"""A scheduler that says what a test wants it to say, and keeps what it was asked to do.

No real one can be had to say each thing about each job at will. What its jobs leave is real: their scripts are run where the test wants it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.jobs import Attempt
from ckgit.experiment.scheduler import AccountReport, JobEnding, JobState, JobStatus, PollResult, Submission, UsageReport


class Scripted:
    """Answers by token, or by name of the job; a token that was handed over is queued."""

    name = "scripted"
    overlaps = False
    poll_seconds = 5.0

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Know of nothing."""
        self.says: dict[str, JobStatus] = {}  # by token, or by name of the job
        self.done: list[str] = []  # what it was asked to do
        self.commands: list[str] = []  # of those, the commands by which jobs were handed over
        self.scripts: list[bytes] = []
        self.handed: set[str] = set()  # tokens
        self.immortal: set[str] = set()  # tokens of jobs that cannot be ended
        self.detaches, self.full, self.staggers = True, False, False
        self.grace_seconds = 0.0
        self.runs = False  # whether a job runs to its end when it is handed over

    def submit(self, cluster: Cluster, work: Path, submissions: Sequence[Submission]) -> Mapping[str, JobStatus]:
        kind = "secure" if submissions[0].if_failed else "continue" if ".advance." in submissions[0].token else "hand over"
        self.done.append(f"{kind} {len(submissions)}" if kind == "hand over" else kind)
        if kind == "continue" and self.full:
            return {submission.token: JobStatus(JobState.UNSEEN, detail="no room") for submission in submissions}
        later = submissions[1:] if self.staggers else []
        for submission in submissions[: len(submissions) - len(later)]:
            self.commands.append(self.dry_run(cluster, work, [submission], b"")[0])
            self.scripts.append((work / submission.script).read_bytes())
            self.handed.add(submission.token)
            if self.runs:
                run_job(work, submission.script, submission.token)
        state = JobState.GONE if self.runs else JobState.QUEUED
        waits = {submission.token: JobStatus(JobState.UNSEEN, detail="a later look hands it over") for submission in later}
        return {submission.token: JobStatus(state, "1") for submission in submissions} | waits

    def poll(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> PollResult:
        return PollResult({attempt.token: self._status(attempt) for attempt in attempts})

    def _status(self, attempt: Attempt) -> JobStatus:
        if attempt.token in self.handed:
            return JobStatus(JobState.GONE if self.runs else JobState.QUEUED, "1")
        return self.says.get(attempt.token) or self.says.get(attempt.job) or JobStatus(JobState.UNSEEN)

    def shared_poll(self) -> nullcontext[None]:
        return nullcontext()

    def check_cancel(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> None:
        if self.immortal & {attempt.token for attempt in attempts}:
            raise CkgitError("nobody can be asked", code=Exit.UNKNOWN, state="nothing was ended", next="look elsewhere")

    def cancel(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> None:
        self.done.append(f"end {len(attempts)}")

    def account(self, cluster: Cluster, attempts: Sequence[Attempt]) -> AccountReport:
        return AccountReport({}, {attempt.token: "it is scripted" for attempt in attempts})

    def usage(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> UsageReport:
        return UsageReport({})

    def dry_run(self, cluster: Cluster, work: Path, submissions: Sequence[Submission], script: bytes) -> tuple[str, str]:
        return f"cd {work} && scripted {submissions[0].token} {submissions[0].script}", ""


def run_job(work: Path, script: str, token: str) -> None:
    """Run a job to its end, as a scheduler would."""
    folder = work / ".ckgit" / "jobs" / token
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "output").open("wb") as output:
        subprocess.run(["bash", script], cwd=work, env={**os.environ, "CKGIT_JOB": token}, stdout=output, stderr=output, check=False)


def refused(why: str) -> JobStatus:
    """The scheduler's answer to a job that it does not take."""
    from ckgit.experiment.jobs import FailureClass

    return JobStatus(JobState.GONE, ending=JobEnding(FailureClass.REFUSED, why))


scheduler = Scripted()
