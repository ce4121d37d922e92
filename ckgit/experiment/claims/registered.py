"""What was claimed before results could be seen, and what only then. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from ckgit.experiment.claims.verdicts import Registered
from ckgit.experiment.design.claim import Claim
from ckgit.experiment.stage import Stage


class StagedAttempt(Protocol):
    """What is asked of an attempt; `Attempt` has it, and its outline."""

    @property
    def stage(self) -> Stage:
        """Whether it trains or evaluates."""


def shows_results(attempts: Iterable[StagedAttempt]) -> bool:
    """Whether an evaluation was submitted: from then on its scores could be seen, and a claim may follow from them."""
    return any(attempt.stage is Stage.EVALUATION for attempt in attempts)


class Stated(NamedTuple):
    """When a claim was made, and of one that was changed what it was before."""

    registered: Registered
    was: Claim | None = None
    since: Sequence[str] = ()  # what it refers to that was changed, though its words were not


def compare(
    now: Sequence[Claim], before: Sequence[Claim], changed: Callable[[Claim], Sequence[str]] = lambda _: ()
) -> tuple[list[Stated], list[Claim]]:
    """Each claim of a design beside those that it had before results could be seen; and those of these that were withdrawn.

    Args:
        changed: what a claim refers to that is not as it was then, a sentence each.
    """
    left = [claim for claim in before if claim not in now]
    told = []
    for claim in now:
        was = max(left, key=lambda each: _alike(each, claim), default=None)
        if claim in before:
            since = changed(claim)
            told.append(Stated(Registered.CHANGED if since else Registered.BEFORE, since=since))
        elif was is not None and _alike(was, claim) >= _CHANGED:
            left.remove(was)
            told.append(Stated(Registered.CHANGED, was))
        else:
            told.append(Stated(Registered.ADDED))
    return told, left


_CHANGED = 4  # of what a claim says so much is as it was


def _alike(one: Claim, other: Claim) -> int:
    """How much of a claim is as it was: a changed one is about the same task, or says the same of another."""
    names = ("metric", "task", "left", "right", "direction", "along")
    return sum(getattr(one, name) == getattr(other, name) for name in names)
