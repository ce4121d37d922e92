"""How a command is to go on with an experiment."""

from __future__ import annotations

from typing import NamedTuple

from ckgit.experiment.jobs import Detached
from ckgit.experiment.state import State


class ContinuationOptions(NamedTuple):
    """How an experiment is to be left to its cluster."""

    to: State
    sequential: bool = False
    accept_missing: bool = False

    def is_that_of(self, detached: Detached) -> bool:
        """Whether a job was told the same."""
        return self == (detached.to, detached.sequential, detached.accept_missing)


class AdvanceOptions(NamedTuple):
    """How a stage is to be run."""

    wait: bool = True
    accept_missing: bool = False
    run: str | None = None  # only the jobs of this run; the experiment moves on when they were the last ones
    sequential: bool = False  # no evaluation before all training is done
    detach: State | None = None  # leave the rest, up to this state, to a job of ours
    token: str | None = None  # of that job, where it is the one that asks

    @property
    def leave(self) -> ContinuationOptions | None:
        """How the experiment is to be left to its cluster; None where it is not."""
        return ContinuationOptions(self.detach, self.sequential, self.accept_missing) if self.detach else None
