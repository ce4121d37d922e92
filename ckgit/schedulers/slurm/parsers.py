"""What SLURM's commands answer: pure parsers, in which any text gives a result or a ParseError."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from ckgit.experiment.jobs import ARRAY_END
from ckgit.schedulers.slurm.commands import ACCOUNT_FIELDS, QUEUE_FORMAT

_QUEUE_FIELDS = QUEUE_FORMAT.count("|") + 1
_BEGINS_A_JOB = re.compile(r"[0-9]+\|")
_BEGINS_A_ROW = re.compile(r"[0-9]+(\.\w+)?\|")  # a job, or a step of one
_ID = re.compile(r"([0-9]+)(?:;([^\s;]+))?")
_SPAN = re.compile(r"([0-9]{1,6})(?:-([0-9]{1,6})(?::([1-9][0-9]{0,5}))?)?")


class ParseError(ValueError):
    """A text is not what this command answers."""


class Answer(NamedTuple):
    """What a program answered."""

    code: int | None  # None: it did not end in time
    out: str
    err: str

    @property
    def words(self) -> str:
        """What it complained of, in one line."""
        said = [re.sub(r"^\w+: (?:error: |fatal: )?", "", line).strip() for line in (self.err.strip() or self.out.strip()).splitlines()]
        ended = "it did not answer in time" if self.code is None else f"it ended with exit code {self.code} and no word"
        return "; ".join(dict.fromkeys(filter(None, said))) or ended


class QueueRow(NamedTuple):
    """A job as squeue sees it."""

    id: str  # for tasks that have not started it is the array's
    array: str  # id of the array, or of the job itself
    task: int | None  # index in its array
    name: str
    state: str
    submitted: int | None  # seconds since 1970, as all times here
    start: int | None  # expected, while it waits
    limit: str
    reason: str

    @property
    def token(self) -> str:
        """The attempt it is, if it is ours."""
        return self.name if self.task is None else f"{self.name}_{self.task}"

    @property
    def handle(self) -> str:
        """How SLURM's commands know it, from its submission to its end: 88, or 88_3."""
        return self.id if self.task is None else f"{self.array}_{self.task}"


class AccountRow(NamedTuple):
    """A job, or a step of one, as sacct knows it."""

    raw_id: str  # 92, or 92.batch
    handle: str  # 88_3
    name: str
    state: str  # one word
    by: int | None  # user id of who cancelled it
    exit_code: str  # CODE:SIGNAL
    submitted: int | None
    start: int | None
    end: int | None
    elapsed: int | None  # seconds
    extras: Sequence[str] = ()

    @property
    def array(self) -> str:
        """Id of the array, or of the job itself."""
        return self.handle.partition("_")[0].partition(".")[0]

    @property
    def token(self) -> str:
        """The attempt it is, if it is ours."""
        _, task, index = self.handle.partition("_")
        return f"{self.name}_{index}" if task else self.name


class SbatchOutcome(StrEnum):
    """What became of an sbatch."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # and would be again
    LATER = "later"  # a limit that passes with time
    UNREACHABLE = "unreachable"  # certainly not accepted: it reached no controller
    AMBIGUOUS = "ambiguous"  # it may have been accepted
    ABSENT = "absent"  # was ambiguous; by now it is known that nothing came of it


class SbatchVerdict(NamedTuple):
    """What became of an sbatch, and in which words."""

    outcome: SbatchOutcome
    job_id: str = ""
    words: str = ""


def parse_queue(text: str, slurm_cluster: str | None) -> list[QueueRow]:
    """The rows of squeue.

    Args:
        slurm_cluster: the one that was asked; squeue leaves out silently those that it does not reach.

    Raises:
        ParseError: this is not squeue's whole answer.
    """
    lines = text.removesuffix("\n").split("\n")
    if slurm_cluster:
        if f"CLUSTER: {slurm_cluster}" not in lines:
            raise ParseError(f"cluster {slurm_cluster} is missing in the answer")
        lines = lines[lines.index(f"CLUSTER: {slurm_cluster}") + 1 :]
    header = next((number for number, line in enumerate(lines) if line.startswith("JOBID|") and line.count("|") == _QUEUE_FIELDS - 1), None)
    if header is None:
        raise ParseError("the header is missing in the answer")
    rows: list[str] = []
    for line in lines[header + 1 :]:
        if _BEGINS_A_JOB.match(line):
            rows.append(line)
        elif rows:
            rows[-1] += f"\n{line}"  # some other job's name has more than one line
        else:
            raise ParseError(f"not a job: {line[:80]!r}")
    return [each for row in rows for each in _queue_rows(row)]


def _queue_rows(line: str) -> list[QueueRow]:
    fields = line.split("|", _QUEUE_FIELDS - 1)
    if len(fields) != _QUEUE_FIELDS:
        raise ParseError(f"not a job: {line[:80]!r}")
    job_id, array, index, state, submitted, start, limit, reason, name = fields
    if not array.isdecimal():
        raise ParseError(f"not a job: {line[:80]!r}")
    row = QueueRow(job_id, array, None, name, _word(state), _time(submitted), _time(start), limit, reason)
    return [row._replace(task=task) for task in _tasks(index, name)] or [row]


def _tasks(text: str, name: str) -> list[int]:
    """The tasks that one row stands for: `3`, `0-2`, `0,3-5%2`, `0-8:4`. Arrays of others may be huge, and are not taken apart."""
    spans = [_SPAN.fullmatch(part) for part in text.partition("%")[0].split(",")]
    if not name.endswith(ARRAY_END) or not all(spans):
        return []
    return [task for span in spans if span for task in range(int(span[1]), int(span[2] or span[1]) + 1, int(span[3] or 1))]


def parse_account(text: str, extras: int = 0) -> list[AccountRow]:
    """The rows of sacct.

    Args:
        extras: how many fields were asked for beyond the core ones.

    Raises:
        ParseError: this is not sacct's answer.
    """
    rows: list[str] = []
    for line in text.removesuffix("\n").split("\n") if text else ():
        if _BEGINS_A_ROW.match(line):
            rows.append(line)
        elif rows:
            rows[-1] += f"\n{line}"
        else:
            raise ParseError(f"not a job: {line[:80]!r}")
    return [each for row in rows for each in _account_rows(row, extras)]


def _account_rows(line: str, extras: int) -> list[AccountRow]:
    core = len(ACCOUNT_FIELDS)
    fields = line.split("|", core + extras - 1)
    if len(fields) != core + extras:
        raise ParseError(f"not a job: {line[:80]!r}")
    raw_id, handle, state, exit_code, submitted, start, end, elapsed = fields[: core - 1]
    by = re.search(r" by ([0-9]{1,10})$", state)
    row = AccountRow(
        raw_id,
        handle,
        fields[-1],
        _word(state),
        int(by[1]) if by else None,
        exit_code,
        _time(submitted),
        _time(start),
        _time(end),
        seconds(elapsed),
        tuple(fields[core - 1 : -1]),
    )
    tasks = _tasks(handle.partition("_[")[2].removesuffix("]"), row.name)  # of those that have not started
    return [row._replace(handle=f"{row.array}_{task}") for task in tasks] or [row]


def judge_sbatch(answer: Answer) -> SbatchVerdict:
    """What an sbatch that answered so has done."""
    found = [match for line in answer.out.splitlines() if (match := _ID.fullmatch(line.strip()))]
    if answer.code == 0:
        # a login node may have said good morning before
        return SbatchVerdict(SbatchOutcome.ACCEPTED, found[-1][1]) if found else SbatchVerdict(SbatchOutcome.AMBIGUOUS, words=answer.words)
    outcome = next(
        (outcome for outcome, pattern in _SAID if answer.code is not None and pattern.search(answer.err)), SbatchOutcome.AMBIGUOUS
    )
    return SbatchVerdict(outcome, words=answer.words)


_UNREACHABLE = (
    "connect failure",
    "Could not establish a configuration source",
    "can't be reached now",
    "controller in standby mode",
    "Protocol authentication error",
    "unable to accept job",
    "Resource temporarily unavailable",
    # ssh, before it has started anything there
    "ssh: connect to host",
    "ssh: Could not resolve hostname",
    "kex_exchange_identification",
    "Host key verification failed",
    "Permission denied (",  # the ways to log in that are left follow: (publickey,password)
)
_AMBIGUOUS = ("timed out", "Zero Bytes were transmitted", "Connection reset", "Connection closed", "Broken pipe", "Unexpected message")
# What the controller says after `Batch job submission failed: `, as its words begin.
_REFUSED_BY_CONTROLLER = (
    *("Access", "Batch script", "Duplicate", "Invalid", "Job ", "License", "Memory", "More processors", "No partition", "Node count"),
    *("Only", "Pathname", "Requested", "Required", "Reservation", "Script", "The ", "This", "Unable to", "Unspecified", "User's group"),
)
# What sbatch says before it asks the controller.
_REFUSED_BY_SBATCH = (
    *("unrecognized option", "requires an argument", "Unable to open file", "does not look like a batch script", "Batch script contains"),
    *("Batch script is empty", "error: Invalid", "error: invalid", "not permitted", "ermission denied"),
)


def _any(texts: Sequence[str], before: str = "") -> re.Pattern[str]:
    return re.compile(before + "(?:" + "|".join(map(re.escape, texts)) + ")")


# The first that is found counts. What is not known here may have been accepted.
_SAID = (
    (SbatchOutcome.UNREACHABLE, _any(_UNREACHABLE)),
    (SbatchOutcome.AMBIGUOUS, _any(_AMBIGUOUS)),
    (SbatchOutcome.LATER, re.compile(r"Max\w*Submit\w*Limit|Grp\w*Submit\w*Limit")),
    # the controller says which limit it is in a line of its own, where it does; without it, it may be one that passes
    (SbatchOutcome.REFUSED, re.compile(r"^sbatch: error: (?:QOS|Assoc)\w+$", re.MULTILINE)),
    (SbatchOutcome.LATER, re.compile("accounting/QOS policy")),
    (SbatchOutcome.REFUSED, _any(_REFUSED_BY_CONTROLLER, "Batch job submission failed: ")),
    (SbatchOutcome.REFUSED, _any(_REFUSED_BY_SBATCH)),
)


def is_accounting_off(answer: Answer) -> bool:
    """Whether sacct says that there is none, and never will be; not that it fails now."""
    return bool(answer.code) and bool(re.search(r"accounting storage is disabled|sacct: (?:command )?not found", answer.err, re.IGNORECASE))


def seconds(text: str) -> int | None:
    """[D-][HH:]MM:SS[.mmm] in seconds; None for what is no time."""
    match = re.fullmatch(r"(?:([0-9]{1,6})-)?(?:([0-9]{1,6}):)?([0-9]{1,6}):([0-9]{1,2})(?:\.[0-9]*)?", text.strip(), re.ASCII)
    if not match:
        return None
    days, hours, minutes, rest = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def _time(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else None


def _word(state: str) -> str:
    """CANCELLED of `CANCELLED by 0`, and of `CANCELLED+`."""
    return (state.split() or [""])[0].rstrip("+")
