"""One commit of an experiment's branch, as the checks see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from ckgit import __version__
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.jobs import Ledger
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.results import CellResult, TrainingResult
from ckgit.experiment.state import State
from ckgit.lab.context import load_context
from ckgit.lab.git.trailers import Trailers
from ckgit.lab.history.commits import BranchCommit
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.orchestrators.engine.experiment import ExperimentView


class Step:
    """A commit that records a step of ckgit's, with the branch before and after it. What cannot be read raises where it is asked for."""

    def __init__(self, lab: Lab, commit: BranchCommit, recorded: Trailers, before: Snapshot | None, after: Snapshot) -> None:
        self.lab, self.commit, self.recorded = lab, commit, recorded
        self.before = before  # None for the first commit of a branch
        self.after = after
        self.results: dict[str, Sequence[TrainingResult | CellResult]] = {}  # what was read of what attempts left, by token

    @property
    def event(self) -> Event:
        """What it records."""
        return Event(self.recorded.event)

    @property
    def version(self) -> str:
        """The ckgit that made it."""
        return self.recorded.version

    @property
    def is_ours(self) -> bool:
        """Whether this ckgit's own rules made its bytes."""
        return self.version == __version__

    @property
    def folder(self) -> str:
        """The experiment's folder."""
        return self.after.folder

    @cached_property
    def ledger(self) -> Ledger | None:
        """The ledger after it.

        Raises:
            CkgitError: it cannot be read.
        """
        return self.after.any_ledger()

    @cached_property
    def ledger_before(self) -> Ledger | None:
        """The ledger before it; none where it begins anew.

        Raises:
            CkgitError: it cannot be read.
        """
        return None if self.before is None or self.after.state is State.DESIGNED else self.before.any_ledger()

    @cached_property
    def view(self) -> ExperimentView:
        """The experiment after it.

        Raises:
            CkgitError: its design, a card, a task or the ledger cannot be read, or is not as it was designed.
        """
        return _view(self.lab, self.after, self.ledger)

    @cached_property
    def view_before(self) -> ExperimentView:
        """The experiment before it.

        Raises:
            CkgitError: as `view`.
        """
        if self.before is None:
            raise CkgitError("there is no commit before it", code=Exit.EVIDENCE_MISSING)
        return _view(self.lab, self.before, self.before.any_ledger())

    @property
    def changed(self) -> Mapping[str, str]:
        """Ids of the contents that it wrote, by path in the experiment's folder; zeros where a file is gone."""
        return {path.removeprefix(f"{self.folder}/"): change.content for path, change in self.commit.files.items()}


def _view(lab: Lab, snapshot: Snapshot, ledger: Ledger | None) -> ExperimentView:
    return ExperimentView(lab, snapshot, load_context(lab, snapshot, ledger), ledger)


def in_words(error: CkgitError) -> str:
    """What went wrong, with its place, as a finding says it.

    Raises:
        CkgitError: TOOL_MISSING, this very error: what is not installed here says nothing against a history.
    """
    if error.code is Exit.TOOL_MISSING:
        raise error
    return f"{error.where}: {error.what}" if error.where else error.what
