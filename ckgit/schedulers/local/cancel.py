"""Ending local jobs: each that can be ended, whatever is wrong with the files of another one."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.jobs.cancellation import mark, unmarked
from ckgit.jobs.folder import job_folder
from ckgit.schedulers.local.process import Process, is_alive, processes_of, read_process

GRACE = 10.0  # seconds between asking a job to end and ending it
_SIGNALS = (signal.SIGTERM, signal.SIGKILL)


def cancel(work: Path, tokens: AbstractSet[str]) -> None:
    """End jobs. Returns when their processes are gone.

    Raises:
        CkgitError: the first of those that could not be ended; the others were.
    """
    found = [_find(work, token) for token in sorted(tokens)] if work.is_dir() else []  # jobs outlive a folder that is moved
    troubles = [one for one in found if isinstance(one, CkgitError)]
    alive = [one for one in found if isinstance(one, Process)]
    for number in _SIGNALS:
        signalled = [(process, _signal(process, number)) for process in alive]
        troubles += [trouble for _, trouble in signalled if trouble]
        alive = _wait_for_end([process for process, trouble in signalled if not trouble], GRACE)
    _end_what_is_left(tokens)
    if troubles:
        raise troubles[0]


def check_cancel(work: Path, tokens: AbstractSet[str]) -> None:
    """See `Scheduler.check_cancel`.

    Raises:
        CkgitError: the first of those that cannot be ended from here, or by this user.
    """
    for token in sorted(tokens):
        folder = job_folder(work, token)
        try:
            process = None if (folder / "status.json").exists() else read_process(folder / "local.json")
        except (OSError, ValueError):
            continue  # it is found by its environment
        if process and process.is_elsewhere:
            raise _elsewhere(work, token, process)
        if process and is_alive(process) and (trouble := _signal(process, None)):
            raise trouble


def _elsewhere(work: Path, token: str, process: Process) -> CkgitError:
    name, because = work.parent.name, f"{process.host} is no more"  # as a file of the work tree says, so to a shell it is one word
    return CkgitError(
        f"job {token} runs on {process.where}; this is {os.uname().nodename}",
        code=Exit.UNKNOWN,
        state="it was not signalled",
        next=f"ckgit cancel {name} there; where that is no more: ckgit cancel {name} --lost --because {shlex.quote(because)}",
    )


def _find(work: Path, token: str) -> Process | CkgitError | None:
    """The process of a job, which is kept from starting; None where none is known to live; or why it cannot be ended."""
    folder = job_folder(work, token)
    try:
        if (folder / "status.json").exists():
            return None
        refused = mark(work, token)  # before local.json is read: a job that starts now looks for the mark after writing it
        process = read_process(folder / "local.json")
        if not process:
            return unmarked(work, {token: refused}) if refused and not (folder / "claim").exists() else None
    except (OSError, ValueError):
        return None  # it is found by its environment
    if process.is_elsewhere:
        return _elsewhere(work, token, process)
    return process if is_alive(process) else None


def _signal(process: Process, number: signal.Signals | None) -> CkgitError | None:
    """Signal a job, or only see whether that would be allowed; or why it is not."""
    try:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number or 0)
    except PermissionError:
        return CkgitError(
            f"process {process.pid} belongs to another user",
            code=Exit.COMMAND_FAILED,
            state="it was not signalled",
            next=f"run the same command as the user that `ps -o user= -p {process.pid}` names",
        )
    return None


def _wait_for_end(processes: Sequence[Process], seconds: float) -> list[Process]:
    """Those that are still alive after at most so many seconds."""
    end = time.monotonic() + seconds
    while (alive := [process for process in processes if is_alive(process)]) and time.monotonic() < end:
        time.sleep(0.02)
    return alive


def _end_what_is_left(tokens: AbstractSet[str]) -> None:
    """End what jobs have put into sessions of their own, as torchrun does, and jobs of which nobody knows which process they became."""
    for number in _SIGNALS:
        end = time.monotonic() + GRACE
        for pid in (left := processes_of(tokens)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        while left and processes_of(tokens) and time.monotonic() < end:
            time.sleep(0.05)
