"""Whether times can be true. Clocks of machines differ, and people rebase: less than a day says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from ckgit.experiment.jobs import Attempt
from ckgit.experiment.outputs.findings import Finding
from ckgit.lab.history.commits import BranchCommit
from ckgit.orchestrators.review import rules
from ckgit.orchestrators.review.verify.checks.ledger import begun, ended
from ckgit.orchestrators.review.verify.checks.step import Step

_APART = timedelta(days=1)


def authored(commit: BranchCommit) -> float:
    """When a commit was made, in seconds since 1970, whoever wrote it again since; 0 where it does not say."""
    seconds = commit.authored.rpartition(" ")[2]
    return float(seconds) if seconds.isascii() and seconds.isdigit() else 0.0


def times(step: Step, before: float) -> Iterator[Finding]:
    """A step follows the one before it, attempts were submitted with it, and ended before it.

    Args:
        before: when the step before was made.
    """
    made = authored(step.commit)
    found = [*_of_commit(step, made, before)]
    new = begun(step.ledger_before, step.ledger)
    other = [attempt for attempt in new if abs(_seconds(attempt.submitted, made) - made) > _APART.total_seconds()]
    found += [f"{_named(attempt)} was submitted at {attempt.submitted}, and the step was not made then" for attempt in other]
    for attempt in ended(step.ledger_before, step.ledger):
        found += _of_attempt(attempt, made)
    yield from (rules.TIME.found(what, commit=step.commit.oid) for what in found)


def _of_commit(step: Step, made: float, before: float) -> Iterator[str]:
    if made < before - _APART.total_seconds():
        yield "it was made before the step that it follows"
    if step.commit.committed < made - _APART.total_seconds():
        yield "it was committed before it was made"


def _of_attempt(attempt: Attempt, made: float) -> Iterator[str]:
    submitted = _seconds(attempt.submitted, made)
    if attempt.started and _seconds(attempt.started, made) < submitted - _APART.total_seconds():
        yield f"{_named(attempt)} started at {attempt.started}, and was submitted at {attempt.submitted}"
    if attempt.ended and _seconds(attempt.ended, made) > made + _APART.total_seconds():
        yield f"{_named(attempt)} ended at {attempt.ended}, when it was recorded already"


def _named(attempt: Attempt) -> str:
    return f"attempt {attempt.number} at {attempt.job}"


def _seconds(time: str, otherwise: float) -> float:
    """Seconds since 1970; of what is no time, which is another finding, those of something that is."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        return otherwise
