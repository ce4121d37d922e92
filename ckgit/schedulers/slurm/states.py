"""What SLURM's states and reasons mean. Pure.

A word that is not known here means that nothing is known: the job is waited for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from ckgit.experiment.jobs import FailureClass
from ckgit.experiment.scheduler import JobEnding, JobState
from ckgit.schedulers.slurm.parsers import AccountRow, QueueRow

ALIVE = {
    "PENDING": JobState.QUEUED,
    "CONFIGURING": JobState.QUEUED,
    "REQUEUED": JobState.QUEUED,
    "REQUEUE_FED": JobState.QUEUED,
    "REQUEUE_HOLD": JobState.QUEUED,
    "RESV_DEL_HOLD": JobState.QUEUED,
    "SPECIAL_EXIT": JobState.QUEUED,
    "RUNNING": JobState.RUNNING,
    "COMPLETING": JobState.RUNNING,
    "RESIZING": JobState.RUNNING,
    "SIGNALING": JobState.RUNNING,
    "STAGE_OUT": JobState.RUNNING,
    "STOPPED": JobState.RUNNING,
    "SUSPENDED": JobState.RUNNING,
}
MAY_RETURN = frozenset({"NODE_FAIL", "PREEMPTED"})  # they are queued again, if the site allows it
ENDED = MAY_RETURN | {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "OUT_OF_MEMORY", "REVOKED", "TIMEOUT"}
SIGNAL_OF_NO_FILE = "0:53"  # so slurmd says that it could not enter the working directory or open the output

_HELD = {
    "JobHeldUser": "it is held: scontrol release {id} lets it go",
    "JobHeldAdmin": "an administrator holds it",
    "job requeued in held state": "it was queued again and is held: scontrol release {id} lets it go",
    "JobHoldMaxRequeue": "it was queued again too often and is held: scontrol release {id} lets it go",
}
_HELD_STATES = {
    "REQUEUE_HOLD": "it was queued again and is held: scontrol release {id} lets it go",
    "RESV_DEL_HOLD": "its reservation was deleted and it is held: scontrol release {id} lets it go",
    "SPECIAL_EXIT": "it is held after a special exit: scontrol release {id} lets it go",
}
_WAITS = {
    "BeginTime": "it may not start yet; a job that was queued again waits for about two minutes",
    "Cleaning": "its last run is being cleaned up",
    "Dependency": "it waits for another job",
    "DependencyNeverSatisfied": "it waits for what will never be: cancel it",
    "JobArrayTaskLimit": "its array's limit of tasks at once is reached",
    "Licenses": "a licence is not free",
    "None": "SLURM has not looked at it yet",
    "PartitionConfig": "no node of its partition is what it asks for: it will not start unless one of both is changed",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition takes no jobs",
    "PartitionNodeLimit": "it asks for more nodes than its partition allows: it will not start unless one of both is changed",
    "PartitionTimeLimit": "it asks for more time than its partition allows: it will not start unless one of both is changed",
    "Priority": "other jobs are before it",
    "Resources": "no place is free",
    "Reservation": "its reservation has not begun",
}

_ENDINGS = {
    "BOOT_FAIL": (FailureClass.NODE_FAILURE, "its node did not boot"),
    "CANCELLED": (FailureClass.CANCELLED, "it was cancelled{by}{after}"),
    "COMPLETED": (None, "SLURM says that it completed{after}"),
    "DEADLINE": (FailureClass.OUT_OF_TIME, "SLURM ended it at its deadline{after}"),
    "NODE_FAIL": (FailureClass.NODE_FAILURE, "its node went down{after}"),
    "OUT_OF_MEMORY": (FailureClass.OUT_OF_MEMORY, "SLURM ended it{after}: it used more memory than it had asked for"),
    "PREEMPTED": (FailureClass.PREEMPTED, "it had to make way for another job{after} and was not queued again"),
    "REVOKED": (FailureClass.LOST, "SLURM revoked it: another cluster of the federation has it"),
    "TIMEOUT": (FailureClass.OUT_OF_TIME, "SLURM ended it at its time limit{limit}"),
}


class EndedJob(NamedTuple):
    """All that SLURM says of a job that is over."""

    state: str
    exit_code: str = ""  # CODE:SIGNAL; empty where only squeue was asked
    by: int | None = None
    limit: str = ""
    elapsed: int | None = None


def is_over(state: str) -> bool:
    """Whether a job in this state has ended, at least for now."""
    return state in ENDED


def end_of(row: QueueRow | None, account: AccountRow | None) -> EndedJob:
    """What both say of a job that is over; at least one of them does."""
    state = account.state if account else row.state if row else ""
    limit = row.limit if row else ""
    return EndedJob(state, account.exit_code, account.by, limit, account.elapsed) if account else EndedJob(state, limit=limit)


def ending(end: EndedJob, user_name: Callable[[int], str], *, printed: bool) -> JobEnding:
    """Class and sentence of an end.

    Args:
        printed: whether the job's output file exists.
    """
    after = f" after {_clock(end.elapsed)}" if end.elapsed is not None else ""
    if end.state == "FAILED":
        return _failed(end, after, printed=printed)
    failure, sentence = _ENDINGS.get(end.state, (None, f"SLURM says {end.state}"))
    limit = f" of {end.limit}" if end.limit[:1].isdigit() else after
    by = f" by {user_name(end.by)}" if end.by is not None else ""
    return JobEnding(failure, sentence.format(after=after, limit=limit, by=by))


def _failed(end: EndedJob, after: str, *, printed: bool) -> JobEnding:
    code, _, signal = end.exit_code.partition(":")
    if end.exit_code == SIGNAL_OF_NO_FILE and not printed:
        return JobEnding(FailureClass.ERROR, "it could not write its output, or its working directory is not there on the node")
    if signal in {"9", "125"}:
        return JobEnding(FailureClass.OUT_OF_MEMORY, f"signal {signal} killed it{after}, as it does where memory runs out")
    if end.exit_code in {"", "0:0"}:  # it was not asked for, or is not booked yet
        return JobEnding(None, f"SLURM says that it failed{after}")
    by_signal = f"by signal {signal}" if signal.strip("0") else f"with exit code {code}"
    return JobEnding(None, f"SLURM says that it failed{after} {by_signal}")


def detail(row: QueueRow) -> str:
    """Why a job does not run, and when SLURM expects it to; empty for one that runs."""
    if row.state in _HELD_STATES:
        return _HELD_STATES[row.state].format(id=row.handle)
    if row.state in {"SUSPENDED", "STOPPED"}:
        return f"it is {row.state.lower()}: its processes do not run now"
    if row.state != "PENDING":
        return "" if row.state == "RUNNING" else row.state.lower()
    return _reason(row) + (f"; SLURM expects it to start at {_date(row.start)}" if row.start else "")


def _reason(row: QueueRow) -> str:
    if row.reason in _HELD:
        return _HELD[row.reason].format(id=row.handle)
    if row.reason.startswith("ReqNodeNotAvail"):
        return f"a node that it needs is not available ({row.reason})"
    if re.match(r"launch.failed", row.reason):
        return f"its start failed and it is held: scontrol release {row.handle} lets it go"
    if re.match(r"QOS|Assoc", row.reason):
        return f"a limit of the account is reached ({row.reason})"
    return _WAITS.get(row.reason, row.reason)


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _date(seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, OSError, ValueError):
        return "a time that is no date"
