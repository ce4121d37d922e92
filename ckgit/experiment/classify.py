"""Where a job stands: one classification, by what the ledger says of its newest attempt and what its scheduler says now.

Also an outline of the ledger, with no more than the classification needs. Nothing here imports a model: loading those takes longer
than all else that `ckgit status` does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, TypeVar

from ckgit.experiment.stage import Stage
from ckgit.formats.plain_json import read_json
from ckgit.formats.times import local_text


class JobCondition(StrEnum):
    """Where a job stands, in the words that people are told."""

    UNSUBMITTED = "not submitted"
    SUBMITTED = "submitted"  # the intent is committed, and no scheduler was asked
    UNSEEN = "not handed over yet"
    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended and not collected yet"
    UNKNOWN = "unknown"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"  # it is gone and left no status
    ACCEPTED = "accepted as missing"

    @property
    def is_open(self) -> bool:
        """Whether it is not known to have ended."""
        return self in _OPEN

    @property
    def is_bad(self) -> bool:
        """Whether it ended badly, and a retry would run it again."""
        return self in (JobCondition.FAILED, JobCondition.CANCELLED, JobCondition.LOST)


_SEEN: Mapping[str, JobCondition] = {  # by the scheduler's word, see `JobState`
    "unseen": JobCondition.UNSEEN,
    "queued": JobCondition.QUEUED,
    "running": JobCondition.RUNNING,
    "gone": JobCondition.ENDED,
    "unknown": JobCondition.UNKNOWN,
}
_OPEN = frozenset([JobCondition.SUBMITTED, *_SEEN.values()])
_PHASES: Mapping[str, JobCondition] = {  # of the ledger, see `Phase`
    "submitted": JobCondition.SUBMITTED,
    "done": JobCondition.DONE,
    "failed": JobCondition.FAILED,
    "cancelled": JobCondition.CANCELLED,
}


class AttemptFacts(Protocol):
    """What classification asks of an attempt; `Attempt` has it, and `AttemptOutline`."""

    @property
    def job(self) -> str:
        """Name of the job."""

    @property
    def phase(self) -> str:
        """Where it stands in the ledger."""

    @property
    def failure(self) -> str | None:
        """Class of what went wrong."""


A = TypeVar("A", bound=AttemptFacts)


def newest(attempts: Iterable[A]) -> dict[str, A]:
    """The newest attempt of each job, by the job's name."""
    return {attempt.job: attempt for attempt in attempts}


def classify(attempt: AttemptFacts | None, *, seen: str = "", accepted: bool = False) -> JobCondition:
    """Where a job stands.

    Args:
        attempt: the newest one; None where there is none.
        seen: what its scheduler says now, as a `JobState`; empty where it was not asked.
        accepted: whether the job was passed over by --accept-missing.
    """
    known = _PHASES[attempt.phase] if attempt else JobCondition.UNSUBMITTED
    if accepted and known is not JobCondition.DONE:
        return JobCondition.ACCEPTED
    if attempt and known is JobCondition.FAILED and attempt.failure == "lost":
        return JobCondition.LOST
    return _SEEN.get(seen, known) if known is JobCondition.SUBMITTED else known


def named(seen: str) -> JobCondition:
    """Where a job is that its scheduler says this of, see `JobState`."""
    return _SEEN[seen]


def counted(conditions: Iterable[JobCondition]) -> str:
    """`3 of 8 done, 2 running, 3 queued`."""
    counts = Counter(conditions)
    others = [f"{count} {condition}" for condition, count in counts.items() if condition is not JobCondition.DONE]
    return ", ".join([f"{counts[JobCondition.DONE]} of {counts.total()} done", *others])


class Leaver(Protocol):
    """Who left an experiment to its cluster; `LeftBy` has it, and its outline."""

    @property
    def user(self) -> str:
        """As git names the user."""

    @property
    def since(self) -> str:
        """When that was."""

    @property
    def host(self) -> str:
        """Where the command ran."""


def left_by_in_words(leaver: Leaver | None) -> str:
    """`left by Ada Author <ada@example.org> on login1, 2026-11-29 12:00 +02:00`."""
    if not leaver:
        return "by whom it was left is not recorded"
    return f"left by {leaver.user} on {leaver.host}, {local_text(leaver.since)}"


class LeftByOutline(NamedTuple):
    """See `LeftBy`."""

    user: str
    since: str
    host: str


class AttemptOutline(NamedTuple):
    """What is shown of an attempt that is not out."""

    job: str
    stage: Stage
    number: int
    token: str
    phase: str
    failure: str | None
    reason: str | None
    cells: bool  # whether its cells were judged one by one
    rows: Mapping[str, str]  # by task a sketch of its rows; none where that is not known


class LedgerOutline(NamedTuple):
    """What is shown of a ledger; see `Ledger`."""

    cluster: str
    scheduler: str
    design: str
    commit: str
    work_tree: str
    accepted_missing: Sequence[str]
    detached: Sequence[str]  # tokens of the job that goes on, and of its stand-in
    left_by: LeftByOutline | None  # who left it to that job; None where that is not recorded, too
    attempts: Sequence[AttemptOutline]

    @property
    def tokens(self) -> list[str]:
        """Of every job of ours that it lists."""
        return [*(attempt.token for attempt in self.attempts), *self.detached]


def read_outline(content: bytes) -> LedgerOutline:
    """Read what is shown of a ledger.

    Raises:
        ValueError: it cannot be read, or what is shown is not there or of another type.
    """
    try:
        return _outline(read_json(content))
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no ledger: {error}") from None


def _outline(ledger: Mapping[str, Any]) -> LedgerOutline:
    detached = ledger.get("detached")
    left = _text(detached["token"]) if detached is not None else ""
    leaver = detached.get("left_by") if detached is not None else None
    return LedgerOutline(
        cluster=_text(ledger["cluster"]),
        scheduler=_text(ledger["scheduler"]),
        design=_text(ledger.get("design", "")),
        commit=_text(ledger.get("commit", "")),
        work_tree=_text(ledger.get("work_tree", "")),
        accepted_missing=[_text(job) for job in ledger.get("accepted_missing", [])],
        detached=[left, f"{left}.again"] if left else [],
        left_by=_left_by(leaver) if leaver is not None else None,
        attempts=[_attempt(attempt) for attempt in ledger["attempts"]],
    )


def _attempt(attempt: Mapping[str, Any]) -> AttemptOutline:
    number, phase = attempt.get("number", 1), _text(attempt["phase"])
    if type(number) is not int or phase not in _PHASES:
        raise TypeError(f"an attempt has number {number!r} and phase {phase}")
    return AttemptOutline(
        job=_text(attempt["job"]),
        stage=Stage(attempt["stage"]),
        number=number,
        token=_text(attempt["token"]),
        phase=phase,
        failure=_text(attempt["failure"]) if "failure" in attempt else None,
        reason=_text(attempt["reason"]) if "reason" in attempt else None,
        cells=bool(attempt.get("cells")),
        rows={_text(task): _text(rows) for task, rows in (attempt.get("rows") or {}).items()},
    )


def _left_by(leaver: Mapping[str, Any]) -> LeftByOutline:
    return LeftByOutline(_text(leaver["user"]), _text(leaver["since"]), _text(leaver["host"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
