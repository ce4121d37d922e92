"""The local scheduler: this machine, as many jobs at a time as the cluster profile has slots.

There is no daemon and no queue file. Each job is a process of its own from the start (local_job.py); what is known of it
lies in `.ckgit/jobs/TOKEN/` of the work tree, and locks that end with their holder decide who runs.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.jobs import Attempt, FailureClass
from ckgit.experiment.scheduler import JobEnding, JobState, JobStatus, PollResult, Submission, UsageReport
from ckgit.formats.plain_json import read_json
from ckgit.jobs.folder import job_folder
from ckgit.schedulers.local import job as local_job

GRACE = 10.0  # seconds between asking a job to end and ending it
_ZOMBIE = ("Z", "X")


class Process(NamedTuple):
    """A process for all time: a process id alone is used again. See `local_job.identity`."""

    pid: int
    start: int
    boot: str
    host: str


def slots_folder(work: Path) -> Path:
    """The locks that all work trees of one work root share; no lab can have this name."""
    return work.parents[2] / ".slots"


class LocalScheduler(NamedTuple):
    """Runs jobs as detached processes of this machine (Linux)."""

    name: str = "local"
    overlaps: bool = False  # a machine's few slots are as busy with one stage as with two, and the story is shorter
    detaches: bool = False
    poll_seconds: float = 1.0
    grace_seconds: float = 2.0

    def submit(self, cluster: Cluster, work: Path, submissions: Sequence[Submission]) -> Mapping[str, JobStatus]:
        """Start the processes that wait for a slot; see `Scheduler.submit`."""
        return {submission.token: _submit(cluster, work, submission) for submission in submissions}

    def poll(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> PollResult:  # noqa: ARG002 - as all schedulers
        """See `Scheduler.poll`. A work tree that is not there says nothing about its jobs."""
        if not work.is_dir():
            return PollResult({attempt.token: JobStatus(JobState.UNKNOWN, detail=f"there is no work tree {work}") for attempt in attempts})
        statuses = {attempt.token: _sight(job_folder(work, attempt.token)) for attempt in attempts}
        return PollResult(statuses, sum(job_status.state in {JobState.QUEUED, JobState.RUNNING} for job_status in statuses.values()))

    def shared_poll(self) -> contextlib.AbstractContextManager[None]:
        """See `Scheduler.shared_poll`: there is nothing to share."""
        return contextlib.nullcontext()

    def cancel(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> None:  # noqa: ARG002 - as all schedulers
        """See `Scheduler.cancel`. Returns when the processes are gone.

        Raises:
            CkgitError: a job belongs to another machine, or is not ours to signal.
        """
        folders = [job_folder(work, attempt.token) for attempt in attempts] if work.is_dir() else []  # jobs outlive a folder that is moved
        alive = [process for folder in folders if (process := _mark_cancelled(folder))]
        for signal_number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
            for process in alive:
                _signal(process, signal_number)
            alive = _wait_for_end(alive, patience)
        for pid in _left_behind({attempt.token for attempt in attempts}):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def usage(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> UsageReport:  # noqa: ARG002 - as all schedulers
        """There is no accounting: the jobs' own status files tell all that is known."""
        return UsageReport({})

    def dry_run(self, cluster: Cluster, work: Path, submissions: Sequence[Submission], script: bytes) -> tuple[str, str]:  # noqa: ARG002 - as all schedulers
        """See `Scheduler.dry_run`."""
        return f"cd {shlex.quote(str(work))} && bash {shlex.quote(submissions[0].script)}", ""


def _submit(cluster: Cluster, work: Path, submission: Submission) -> JobStatus:
    command = [sys.executable, "-I", "-S", str(Path(local_job.__file__).resolve())]
    command += [submission.token, submission.script, submission.output, str(slots_folder(work)), str(cluster.slots)]
    try:
        for folder in (job_folder(work, submission.token), slots_folder(work)):
            folder.mkdir(parents=True, exist_ok=True)
        answer = _output(command, work)
    except OSError as error:
        return _refused(str(error))
    words = answer.strip().rpartition("\n")[2].split()  # a linker, or Python, may complain of the user's environment before
    if words[:1] == ["accepted"]:
        return JobStatus(JobState.QUEUED, words[1])
    if words[:1] == ["present"]:  # another ckgit handed it over between our poll and now
        return JobStatus(JobState.QUEUED)
    return _refused(" ".join(words) or "it ended without a word")


def _output(command: list[str], work: Path) -> str:
    """What a program prints, in a session of its own: an interrupt at the terminal must not reach it, not even while it starts."""
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    done = subprocess.run(command, cwd=work, stdin=nothing, stdout=pipe, stderr=subprocess.STDOUT, start_new_session=True, check=False)
    return done.stdout.decode(errors="replace")


def _refused(words: str) -> JobStatus:
    return JobStatus(JobState.GONE, ending=JobEnding(FailureClass.REFUSED, f"the job could not be started: {words}"))


def _sight(folder: Path) -> JobStatus:
    """What the files of a job and its process say. The order matters: a job only ever adds files."""
    try:
        process = read_process(folder / "local.json")
        if process is None:
            # by hand, or the disk lost the identity: started it was, and what started it cannot be found
            return JobStatus(JobState.GONE if (folder / "claim").exists() else JobState.UNSEEN)
        job_id = str(process.pid)
        if (folder / "status.json").exists():
            return JobStatus(JobState.GONE, job_id)
        if process.host != os.uname().nodename:
            return JobStatus(JobState.UNKNOWN, job_id, f"it runs on {process.host}; this is {os.uname().nodename}")
        if not is_alive(process):
            return JobStatus(JobState.GONE, job_id)
        return JobStatus(JobState.RUNNING, job_id) if (folder / "claim").exists() else JobStatus(JobState.QUEUED, job_id, "no free slot")
    except (OSError, ValueError, TypeError) as error:
        return JobStatus(JobState.UNKNOWN, detail=f"{folder.name}: {error}")


def read_process(path: Path) -> Process | None:
    """The process that a job became, or None when there was none yet.

    Raises:
        OSError, ValueError, TypeError: it is there and cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    process = Process(**read_json(text))
    if not isinstance(process.pid, int) or process.pid <= 1:
        raise ValueError(f"{path.name} names process {process.pid!r}")
    return process


def is_alive(process: Process) -> bool:
    """Whether a process of this machine, or anything that is left of its group, still runs."""
    if process.boot != local_job.boot_id():
        return False
    fields = local_job.stat_fields(process.pid)
    if fields is not None and local_job.start_ticks(fields) != process.start:
        return False  # the process id belongs to another one now
    if fields is not None and fields[0] not in _ZOMBIE:
        return True
    return _group_is_alive(process.pid)


def _group_is_alive(group: int) -> bool:
    """The kernel gives no process id away while a group has it; a zombie waits for its parent, not for us."""
    for entry in Path("/proc").iterdir():
        fields = local_job.stat_fields(int(entry.name)) if entry.name.isdigit() else None
        if fields and int(fields[2]) == group and fields[0] not in _ZOMBIE:
            return True
    return False


def _left_behind(tokens: AbstractSet[str]) -> Iterator[int]:
    """Processes that jobs have put into sessions of their own, as torchrun does: the name of their job is in their environment."""
    names = {f"CKGIT_JOB={token}".encode() for token in tokens}
    others = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid()]
    for pid in others:
        with contextlib.suppress(OSError):  # it has just ended, or belongs to another user
            if not names.isdisjoint(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")):
                yield pid


def _mark_cancelled(folder: Path) -> Process | None:
    """Keep a job from starting; its process where one lives."""
    if (folder / "status.json").exists():
        return None
    folder.mkdir(parents=True, exist_ok=True)  # also where nothing was handed over: another ckgit may be about to
    (folder / "cancelled").touch()  # before local.json is read: a job that starts now looks for the mark after writing it
    process = read_process(folder / "local.json")
    if process and process.host != os.uname().nodename:
        raise CkgitError(
            f"job {folder.name} runs on {process.host}; this is {os.uname().nodename}",
            code=Exit.UNKNOWN,
            state="it was not signalled",
            next=f"run the same command on {process.host}",
        )
    return process if process and is_alive(process) else None


def _signal(process: Process, number: signal.Signals) -> None:
    try:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
    except PermissionError:
        raise CkgitError(
            f"process {process.pid} belongs to another user",
            code=Exit.COMMAND_FAILED,
            state="it was not signalled",
            next=f"run the same command as the user that `ps -o user= -p {process.pid}` names",
        ) from None


def _wait_for_end(processes: list[Process], seconds: float) -> list[Process]:
    """Those that are still alive after at most so many seconds."""
    end = time.monotonic() + seconds
    while (alive := [process for process in processes if is_alive(process)]) and time.monotonic() < end:
        time.sleep(0.02)
    return alive


scheduler = LocalScheduler()
