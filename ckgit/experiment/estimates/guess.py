"""What a preparation tool says beforehand of a run: how much there is to do, what that may take, and what follows from its settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Steps(NamedTuple):
    """How much there is to do in a run: optimizer steps of a training, or whatever its tool counts."""

    rows: int
    per_epoch: int | None  # None where there are no epochs
    total: int
    at_most: bool = False  # whether it may end sooner
    about: bool = False  # whether that is a guess, as its jobs alone can tell


class Guess(NamedTuple):
    """What a job may need. Seconds and bytes."""

    seconds: float
    memory: float
    disk: float
    doubts: Sequence[str] = ()  # what about the run is probably not meant, one clause each


class Fact(NamedTuple):
    """Something that follows from a run's settings. Runs may differ in it where they differ in one of its causes: then it was meant."""

    name: str
    value: Any  # that can be hashed
    causes: frozenset[str] = frozenset()  # parameters that it follows from by intention; with none, it is not looked for by itself
    why: str = ""  # why runs may differ in it without a cause, for a message
    instead_of: frozenset[str] = frozenset()  # parameters that matter by this alone
    said: str = ""  # what a claim's sides are said to differ in, where they differ in one of those
    near: float = 0.0  # share by which values may differ and still count as equal
    follows: str = ""  # another fact that explains this one
    steps_about: bool = False  # whether it is a guess at the steps, which the job alone can tell

    def differs(self, other: Any) -> bool:
        """Whether another run's value counts as another one."""
        if self.near:
            return bool(abs(self.value - other) > self.near * max(self.value, other))
        return bool(self.value != other)
