"""The local scheduler: this machine, as many jobs at a time as the cluster profile has slots.

There is no daemon and no queue file. Each job is a process of its own from the start (job.py); what is known of it
lies in `.ckgit/jobs/TOKEN/` of the work tree, and locks that end with their holder decide who runs.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.experiment.cluster import Cluster
from ckgit.experiment.jobs import Attempt, FailureClass
from ckgit.experiment.scheduler import AccountReport, JobEnding, JobState, JobStatus, PollResult, Submission, UsageReport
from ckgit.jobs.environment import KEPT
from ckgit.jobs.folder import is_there, job_folder
from ckgit.jobs.handover import begin_handover, lost_files
from ckgit.jobs.own_setup import own_setup
from ckgit.schedulers.local import job as local_job
from ckgit.schedulers.local.cancel import cancel, check_cancel
from ckgit.schedulers.local.process import is_alive, processes_of, read_process


def slots_folder(work: Path) -> Path:
    """The locks that all work trees of one work root share; no lab can have this name."""
    return work.parents[2] / ".slots"


class LocalScheduler(NamedTuple):
    """Runs jobs as detached processes of this machine (Linux)."""

    name: str = "local"
    overlaps: bool = False  # a machine's few slots are as busy with one stage as with two, and fewer commits are to be read
    detaches: bool = False
    poll_seconds: float = 1.0
    grace_seconds: float = 2.0

    def submit(self, cluster: Cluster, work: Path, submissions: Sequence[Submission]) -> Mapping[str, JobStatus]:
        """Start the processes that wait for a slot; see `Scheduler.submit`."""
        return {submission.token: _submit(cluster, work, submission) for submission in submissions}

    def poll(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> PollResult:  # noqa: ARG002 - as all schedulers
        """See `Scheduler.poll`. A work tree that is not there says nothing about its jobs."""
        if not is_there(work):
            return PollResult({attempt.token: JobStatus(JobState.UNKNOWN, detail=f"there is no work tree {work}") for attempt in attempts})
        statuses = {attempt.token: _status_of(work, attempt.token) for attempt in attempts}
        return PollResult(statuses, sum(job_status.state in {JobState.QUEUED, JobState.RUNNING} for job_status in statuses.values()))

    def shared_poll(self) -> contextlib.AbstractContextManager[None]:
        """See `Scheduler.shared_poll`: there is nothing to share."""
        return contextlib.nullcontext()

    def check_cancel(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> None:  # noqa: ARG002 - as all schedulers
        """See `Scheduler.check_cancel`."""
        check_cancel(work, {attempt.token for attempt in attempts})

    def cancel(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> None:  # noqa: ARG002 - as all schedulers
        """See `Scheduler.cancel`. Returns when the processes are gone.

        Raises:
            CkgitError: a job belongs to another machine, or is not ours to signal; the others were ended.
        """
        cancel(work, {attempt.token for attempt in attempts})

    def usage(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> UsageReport:  # noqa: ARG002 - as all schedulers
        """There is no accounting: the jobs' own status files tell all that is known."""
        return UsageReport({})

    def account(self, cluster: Cluster, attempts: Sequence[Attempt]) -> AccountReport:  # noqa: ARG002 - as all schedulers
        """There is none: a process is forgotten when it has ended."""
        return AccountReport({}, dict.fromkeys((attempt.token for attempt in attempts), "the local scheduler keeps no accounts"))

    def dry_run(self, cluster: Cluster, work: Path, submissions: Sequence[Submission], script: bytes) -> tuple[str, str]:  # noqa: ARG002 - as all schedulers
        """See `Scheduler.dry_run`."""
        return f"cd {shlex.quote(str(work))} && bash {shlex.quote(submissions[0].script)}", ""


def _submit(cluster: Cluster, work: Path, submission: Submission) -> JobStatus:
    command = [sys.executable, "-I", "-S", str(Path(local_job.__file__).resolve())]
    command += [submission.token, submission.script, submission.output, str(slots_folder(work)), str(cluster.slots), ",".join(KEPT)]
    folder = job_folder(work, submission.token)
    try:
        if lost_files(work, folder) is not None:
            return _status_of(work, submission.token)
        begin_handover(work, folder)
        slots_folder(work).mkdir(parents=True, exist_ok=True)
        answer = _output(command, work, submission.token, own_setup(cluster))
    except PermissionError as error:  # another user's work tree: whose it is can hand it over
        return JobStatus(JobState.UNKNOWN, detail=f"it cannot be handed over by this user: {error}")
    except OSError as error:
        return _refused(str(error))
    words = answer.strip().rpartition("\n")[2].split()  # a linker, or Python, may complain of the user's environment before
    if words[:1] == ["accepted"]:
        return JobStatus(JobState.QUEUED, words[1])
    if words[:1] == ["present"]:  # another ckgit handed it over between our poll and now
        return JobStatus(JobState.QUEUED)
    return _refused(" ".join(words) or "it ended without a word")


def _output(command: list[str], work: Path, token: str, given: bytes) -> str:
    """What a program prints, in a session of its own: an interrupt at the terminal must not reach it, not even while it starts."""
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    known = {**os.environ, "CKGIT_JOB": token}  # while it waits for a slot, too: see `processes_of`
    done = subprocess.run(command, cwd=work, env=known, input=given, stdout=pipe, stderr=both, start_new_session=True, check=False)
    return done.stdout.decode(errors="replace")


def _refused(words: str) -> JobStatus:
    return JobStatus(JobState.GONE, ending=JobEnding(FailureClass.REFUSED, f"the job could not be started: {words}"))


def _status_of(work: Path, token: str) -> JobStatus:
    """What the files of a job and its process say. The order matters: a job only ever adds files."""
    folder = job_folder(work, token)
    try:
        if (folder / "status.json").exists():
            return JobStatus(JobState.GONE, _job_id(folder))
        process = read_process(folder / "local.json")
        if process is None:
            return _without_identity(work, token, folder)
        job_id = str(process.pid)
        if process.is_elsewhere:
            return JobStatus(JobState.UNKNOWN, job_id, f"it runs on {process.where}; this is {os.uname().nodename}")
        if not is_alive(process):
            return JobStatus(JobState.GONE, job_id)
        return JobStatus(JobState.RUNNING, job_id) if (folder / "claim").exists() else JobStatus(JobState.QUEUED, job_id, "no free slot")
    except (OSError, ValueError) as error:
        return JobStatus(JobState.UNKNOWN, detail=f"{folder.name}: {error}")


def _without_identity(work: Path, token: str, folder: Path) -> JobStatus:
    """Of a job that was not handed over, was started by hand, or whose files the disk has lost."""
    machine = lost_files(work, folder)
    claimed = (folder / "claim").exists()
    if machine is None and not claimed:
        return JobStatus(JobState.UNSEEN)
    if processes_of({token}):
        return JobStatus(JobState.RUNNING, detail=f"its files in {folder} are lost: how it ends cannot be told")
    if machine is None or claimed:
        return JobStatus(JobState.GONE)
    if machine != os.uname().nodename:
        return JobStatus(JobState.UNKNOWN, detail=f"its files in {folder} are lost; it was handed over on {machine or 'another machine'}")
    return JobStatus(JobState.GONE, ending=JobEnding(FailureClass.LOST, f"its files in {folder} were lost, and with them how it ended"))


def _job_id(folder: Path) -> str | None:
    """Id of a job that has ended; None where that was lost."""
    try:
        process = read_process(folder / "local.json")
    except (OSError, ValueError):
        return None
    return str(process.pid) if process else None


scheduler = LocalScheduler()
