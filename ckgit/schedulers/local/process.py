"""The processes of local jobs: which one a job became, whether that still lives, and what it has put elsewhere."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple

from ckgit.formats.plain_json import read_json
from ckgit.schedulers.local import job as local_job

_ZOMBIE = ("Z", "X")


class Process(NamedTuple):
    """A process for all time: a process id alone is used again. See `local_job.identity`."""

    pid: int
    start: int
    boot: str
    host: str
    ids: str = ""  # space of process ids that it is in; empty where an older ckgit did not note it

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is, or was, where nothing can be seen from here: on another machine, or in another container of this one.

        The name of a machine may change while it runs, and what runs there goes on.
        """
        if self.boot != local_job.boot_id():
            return self.host != os.uname().nodename  # of the same name: this machine was started again since
        if self.ids:
            return self.ids != local_job.process_ids()
        return self.host != os.uname().nodename and not is_alive(self)

    @property
    def where(self) -> str:
        """For people: the machine that it runs on."""
        other = self.host != os.uname().nodename
        return self.host if other else f"{self.host}, in another container"


def read_process(path: Path) -> Process | None:
    """The process that a job became, or None when there was none yet.

    Raises:
        OSError, ValueError: it is there and cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        process = Process(**read_json(text))
    except TypeError:
        raise ValueError(f"{path.name} does not name a process") from None
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


def processes_of(tokens: AbstractSet[str]) -> list[int]:
    """Every process of these jobs on this machine: the name of its job is in the environment of each, whatever session it is in."""
    names = {f"CKGIT_JOB={token}".encode() for token in tokens}
    others = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid()]
    found = []
    for pid in others:
        with contextlib.suppress(OSError):  # it has just ended, or belongs to another user
            if not names.isdisjoint(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")):
                found.append(pid)
    return found
