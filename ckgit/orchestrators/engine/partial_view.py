"""Looking at an experiment of which not all can be read: whatever is broken, its jobs can be seen, explained and ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ckgit.errors import CkgitError
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.jobs import Ledger
from ckgit.experiment.outputs.events import Noted
from ckgit.experiment.state import State
from ckgit.lab.context import load_context
from ckgit.lab.history.hand_edits import refuse_edited
from ckgit.lab.lab import Lab
from ckgit.lab.remotes import authority, last_fetched
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.engine import orphans
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.orphans import Orphan


class PartialView(NamedTuple):
    """What can be seen of an experiment, and why there is no more."""

    lab: Lab
    name: str
    snapshot: Snapshot | None  # None: the branch is gone, or cannot be read
    ledger: Ledger | None
    view: ExperimentView | None  # None: its design cannot be read, or is not the one that was scaffolded
    orphans: Sequence[Orphan]
    away: CkgitError | None  # why the authority does not tell, or has other commits
    unread: CkgitError | None  # why the branch, its ledger or its design cannot be read
    unsearched: CkgitError | None  # why jobs that are in no ledger cannot be looked for
    edited: CkgitError | None  # why nothing may be recorded over the ledger as it is

    @property
    def problems(self) -> Sequence[CkgitError]:
        """All that keeps something from being seen, each once."""
        found = (self.away, self.unread, self.unsearched)
        return list({problem.what: problem for problem in found if problem}.values())

    @property
    def problem(self) -> CkgitError | None:
        """The one to tell where only one is told: the branch before the rest, since all else follows from it."""
        return self.unread or self.unsearched or self.away

    @property
    def blocked(self) -> CkgitError | None:
        """Why nothing can be committed now, though the branch can be read."""
        return self.away or self.edited

    @property
    def cluster(self) -> Cluster:
        """The profile by which the jobs of the ledger were handed over, whatever became of it since."""
        return self.lab.cluster_of(self.ledger.model_dump()) if self.ledger else self.lab.cluster()


def open_partially(lab: Lab, name: str, events: Events | None = None, *, kept: bool = False) -> PartialView:
    """See what of an experiment may run.

    Args:
        events: who is told; without one the authority is not asked first.
        kept: whether one whose branch is gone is taken from what has it, only to be looked at.
    """
    away, unread, unsearched, edited = _authority(lab, name, events) if events else None, None, None, None
    snapshot, ledger, view = None, None, None
    try:
        snapshot = take_snapshot(lab, name, kept=kept)
        ledger = snapshot.ledger()
        edited = _edited(snapshot)
        if snapshot.state is not State.DESIGNED:
            view = ExperimentView(lab, snapshot, load_context(lab, snapshot, ledger), ledger)
    except CkgitError as error:
        unread = error
    running: Sequence[Orphan] = []
    try:
        running = orphans.find_orphans(lab, name, frozenset(ledger.tokens if ledger else ()))
    except CkgitError as error:  # where work trees lie cannot be read; those of the ledger are known all the same
        unsearched = error
    return PartialView(lab, name, snapshot, ledger, view, running, away, unread, unsearched, edited)


def _authority(lab: Lab, name: str, events: Events) -> CkgitError | None:
    """Bring the branch up to the authority's; or why that is not done."""
    try:
        if kept := authority.fetch(lab, name):
            events.emit(Noted(experiment=name, text=kept))
        before = take_snapshot(lab, name)
        for line in last_fetched.catch_up(lab, name, before.remotes, before.closed):
            events.emit(Noted(experiment=name, text=line))
        snapshot = take_snapshot(lab, name)
        last_fetched.refuse_stale(lab.branch(name), snapshot.tip, snapshot.remotes)
    except CkgitError as error:
        return error
    return None


def _edited(snapshot: Snapshot) -> CkgitError | None:
    """Why nothing may be recorded: a ledger that was changed by hand would be ckgit's own from then on."""
    try:
        refuse_edited(snapshot, f"{snapshot.folder}/jobs.json")
    except CkgitError as error:
        return error
    return None
