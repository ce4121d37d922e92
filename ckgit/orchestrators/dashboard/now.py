"""What is known of a whole lab at one time. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ckgit.errors import CkgitError
from ckgit.experiment.state import State
from ckgit.lab.experiments import ExperimentRow
from ckgit.orchestrators.queries.overview import Overview

if TYPE_CHECKING:
    from ckgit.analysis.tables import JobRow
    from ckgit.experiment.accounting import UsageTotals
    from ckgit.experiment.claims.verdicts import Verdict

UNREADABLE = (CkgitError, OSError, ValueError, LookupError)  # what reading a branch can end with, whatever somebody put there


class Unread(NamedTuple):
    """What cannot be read."""

    what: str  # on one line
    next: str

    @classmethod
    def of(cls, error: Exception) -> Unread:
        """An error of `UNREADABLE`."""
        if not isinstance(error, CkgitError):
            return cls(f"it cannot be read: {type(error).__name__}: {error}", "")
        what = " / ".join(filter(None, map(str.strip, error.what.splitlines())))
        return cls(f"{error.where}: {what}" if error.where else what, error.next)


class CommittedFacts(NamedTuple):
    """What an experiment's branch says of its design and its results."""

    question: str = ""
    jobs: Sequence[JobRow] = ()  # every job of the design
    claims: Sequence[Verdict] = ()
    costs: UsageTotals | None = None  # of all stages; None where no attempt has ended


class ExperimentNow(NamedTuple):
    """An experiment as it is now."""

    row: ExperimentRow
    overview: Overview | None  # None where it cannot be read
    committed: CommittedFacts
    problems: Sequence[Unread] = ()  # what of it cannot be read, and why
    key: str = ""  # of all that it follows from; empty where it may become another without that

    @property
    def name(self) -> str:
        """Its name, as the branch has it: any text that git allows."""
        return self.row.name

    @property
    def state(self) -> State | None:
        """None where it cannot be told."""
        return self.overview.state if self.overview else None

    @property
    def is_out(self) -> bool:
        """Whether jobs of it may run, so that it changes without a commit."""
        return bool(self.overview and (self.overview.open or self.overview.left_to or self.overview.unknown_jobs))

    @property
    def is_settled(self) -> bool:
        """Whether it stays as it is until git has something new of it, or ckgit.toml; a disk and what is installed matter to others."""
        found = self.overview
        if not found or self.is_out or self.problems:
            return False
        return not (found.removed or found.by_hand or found.rewritten or found.broken or found.problem or found.edited)


class LabNow(NamedTuple):
    """All experiments of a lab, by name."""

    name: str
    time: datetime.datetime  # when it was read
    experiments: Sequence[ExperimentNow]
    problems: Sequence[Unread]  # of the lab itself

    @property
    def out(self) -> list[ExperimentNow]:
        """Those with jobs that may run."""
        return [each for each in self.experiments if each.is_out]
