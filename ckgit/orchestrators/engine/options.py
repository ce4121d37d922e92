"""What a command is asked for, and how it is to go on with an experiment."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.checks.run_names import choose_run
from ckgit.experiment.design.compute import Resources
from ckgit.experiment.jobs import Detached, LeftBy
from ckgit.experiment.state import State
from ckgit.formats.listing import choose

DESIGNED = Resources.model_construct()  # nothing but what the design says


class ContinuationOptions(NamedTuple):
    """How an experiment is to be left to its cluster."""

    to: State
    sequential: bool = False
    accept_missing: bool = False

    def is_that_of(self, detached: Detached) -> bool:
        """Whether a job was told the same."""
        return self == (detached.to, detached.sequential, detached.accept_missing)


class Selection(NamedTuple):
    """Which jobs a command is about: all, those of one run, or one."""

    run: str | None = None
    job: str | None = None

    def means(self, job: str) -> bool:
        """Whether a job of that name is meant."""
        return self.run in (None, job.partition("/")[0]) and self.job in (None, job)

    @property
    def named(self) -> str:
        """What was asked for."""
        return f"job {self.job}" if self.job else f"run {self.run}" if self.run else "the experiment"

    def is_known(self, runs: Collection[str], jobs: Collection[str]) -> bool:
        """Whether the experiment has such a run and such a job, whatever became of it."""
        return (self.run is None or self.run in runs) and (self.job is None or self.job in jobs)

    def not_found(self, name: str, runs: Sequence[str], jobs: Sequence[str]) -> CkgitError:
        """The error where an experiment has no such run or job: a slip of the pen."""
        no_run = self.run is not None and self.run not in runs
        known = choose_run(self.run or "", runs) if no_run else choose(self.job or "", jobs)
        return CkgitError(
            f"{name} has no {f'run {self.run}' if no_run else f'job {self.job}'}",
            code=Exit.USAGE,
            state="nothing was changed",
            next=known or f"ckgit status {name}",
        )


class RetryOptions(NamedTuple):
    """What failed is run again."""

    selection: Selection = Selection()
    resources: Resources = DESIGNED  # what to ask for instead of what the job, or its last attempt, asked for


class AdvanceOptions(NamedTuple):
    """What a command is asked for: how far an experiment is to go, and how."""

    to: State | None = None  # the state to reach; None is one transition
    at: str | None = None  # the commit that the branch must be at when the command begins, as when somebody has approved that one
    begins: Sequence[State] = ()  # the states in which the command has a part; all where there is none
    cluster: str | None = None  # name of the profile that takes over first, where it is another one
    retry: RetryOptions | None = None  # what failed is run again first
    worker: str | None = None  # label of the worker that is run alone
    run: str | None = None  # only the jobs of this run; the experiment moves on when they were the last ones
    wait: bool = True
    accept_missing: bool = False
    sequential: bool = False  # no evaluation before all training is done
    detach: bool = False  # leave the rest to a job of ours
    left_by: LeftBy | None = None  # who does; None where that is such a job itself
    take_over: bool = False  # go on in the place of a job of ours that the experiment was left to
    token: str | None = None  # of that job, where it is the one that asks

    @property
    def continuation(self) -> ContinuationOptions | None:
        """How the experiment is to be left to its cluster; None where it is not."""
        return ContinuationOptions(self.to or State.ANALYZED, self.sequential, self.accept_missing) if self.detach else None
