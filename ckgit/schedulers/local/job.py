"""The process that waits for a slot and then becomes the job.

`schedulers/local/scheduler.py` starts it by path. It outlives the ckgit that started it: no ckgit has to run for the next job to
start. It knows one answer on standard output, `accepted PID` or `present`; after that the output belongs to the job.

    python job.py TOKEN SCRIPT OUTPUT SLOTS_FOLDER SLOTS VARIABLES     (in the work tree)

Standard input has what the job's script is to find in `setup` of its folder (jobs/own_setup.py): no other user sees that in a command line.
A hundred may wait at once, so it imports little: with pathlib and typing each would take 1.6 MB and 30 ms more.
"""

# ruff: noqa: PTH105, PTH110, PTH115, PTH120, PTH123
from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Mapping

SHORTEST_NAP, LONGEST_NAP = 0.02, 0.5  # seconds between two looks for a free slot


def boot_id() -> str:
    """An id that changes with every boot."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def process_ids() -> str:
    """The space of process ids that this process lives in: another container of the same machine has another one."""
    return os.readlink("/proc/self/ns/pid")


def stat_fields(pid: int) -> list[str] | None:
    """/proc/PID/stat from its third field (the state) on, or None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()  # the second field is a program's name, which may hold spaces and brackets


def start_ticks(fields: list[str]) -> int:
    """When a process began, in clock ticks after boot."""
    return int(fields[19])


def identity() -> dict[str, str | int]:
    """What tells this process from all others, ever; exec does not change it."""
    start = start_ticks(stat_fields(os.getpid()) or [])
    return {"pid": os.getpid(), "start": start, "boot": boot_id(), "host": os.uname().nodename, "ids": process_ids()}


def job_environment(environment: Mapping[str, str], token: str, variables: str) -> dict[str, str]:
    """Those of the environment's variables that are named, and the name that the job is known by."""
    kept = {name: environment[name] for name in variables.split(",") if name in environment}
    programs = os.pathsep.join([os.path.dirname(sys.executable), kept.get("PATH", os.defpath)])
    return {**kept, "PATH": programs, "LC_ALL": "C.UTF-8", "CKGIT_JOB": token}


def lock(path: str, mode: int) -> int | None:
    """A lock that lives as long as the returned descriptor or a copy of it; None when another holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, mode)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def take_slot(folder: str, slots: int) -> int:
    """Wait for one of `slots` places. The waiters stand in line for `turn`, so only the first of them looks around."""
    turn = lock(f"{folder}/turn", fcntl.LOCK_EX)
    nap = SHORTEST_NAP
    while True:
        for number in range(slots):
            descriptor = lock(f"{folder}/{number}", fcntl.LOCK_EX | fcntl.LOCK_NB)
            if descriptor is not None:
                os.close(turn or -1)
                return descriptor
        time.sleep(nap)
        nap = min(nap * 1.2, LONGEST_NAP)


def write_identity(path: str) -> None:
    """Leave this process's identity at `path`, whole or not at all, and on disk."""
    with open(f"{path}.part", "w") as file:
        json.dump(identity(), file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.part", path)


def enter(folder: str) -> int | None:
    """Become the one process of a token: its lock, or None when another is, or was, or must not be."""
    descriptor = lock(f"{folder}/lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
    if descriptor is None or os.path.exists(f"{folder}/local.json") or os.path.exists(f"{folder}/claim"):
        return None
    write_identity(f"{folder}/local.json")
    return None if os.path.exists(f"{folder}/cancelled") else descriptor  # who cancels leaves the mark, then reads local.json


def write_setup(path: str, content: bytes) -> None:
    """Leave at `path` what the job's script reads; nothing where that is empty."""
    if content:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)


def answer(text: str) -> None:
    """Tell the ckgit that started this process, if it still lives."""
    with contextlib.suppress(OSError):
        os.write(1, f"{text}\n".encode())


def become(script: str, environment: Mapping[str, str], descriptors: tuple[int, ...]) -> None:
    """Replace this process by the job; its locks stay with it and with all that it starts."""
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - os takes it so
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored_by_python, signal.SIG_DFL)
    os.execvpe("bash", ["bash", script], environment)  # noqa: S606 - an argument list


def main(token: str, script: str, output: str, slots_folder: str, slots: str, variables: str) -> None:
    """Leave the caller, take the token's lock, wait for a slot, become the job."""
    setup = sys.stdin.buffer.read()
    if os.fork():
        os._exit(0)  # whoever waits for the first process is not the parent of the job
    os.setsid()  # a group of its own, which cancel signals
    held = enter(f".ckgit/jobs/{token}")
    if held is None:
        answer("present")
        return
    write_setup(f".ckgit/jobs/{token}/setup", setup)  # one that was there would be of another process of this token, and there is none
    printed = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    answer(f"accepted {os.getpid()}")
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    os.close(printed)
    become(script, job_environment(os.environ, token, variables), (held, take_slot(slots_folder, int(slots))))


if __name__ == "__main__":
    main(*sys.argv[1:])
