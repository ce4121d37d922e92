"""Where an experiment stands, as its branch tells, and the one way to move it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckgit.analysis.tables import status_blocks
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import Attempt, Ledger
from ckgit.experiment.lifecycle import Event, check_edge
from ckgit.experiment.outputs.events import Committed, Noted
from ckgit.experiment.worker import Context
from ckgit.formats.listing import escaped
from ckgit.lab.branches import DeletedError
from ckgit.lab.commit import CommitPlan, make_commit
from ckgit.lab.context import load_context
from ckgit.lab.git.tips import KnownTips, kept_note
from ckgit.lab.lab import Lab
from ckgit.lab.remotes import authority, last_fetched
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.logs import appended


class ExperimentView(NamedTuple):
    """An experiment at one commit of its branch."""

    lab: Lab
    snapshot: Snapshot
    context: Context
    ledger: Ledger | None

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.snapshot.name

    @property
    def attempts(self) -> Sequence[Attempt]:
        """Every attempt of every job; none before the first submission."""
        return self.ledger.attempts if self.ledger else ()

    def path(self, name: str) -> str:
        """A file of the experiment's folder, as a path of the lab."""
        return f"{self.context.folder}/{name}"


class RecordedCommit(NamedTuple):
    """A commit that was made."""

    event: Event
    experiment: str
    commit: str
    source: State | None
    target: State
    body: str


class BranchMoved(Exception):  # noqa: N818 - no error: the caller looks again
    """The branch is not where it was."""


def open_experiment(lab: Lab, name: str, *, kept: bool = False) -> ExperimentView:
    """Read an experiment's branch.

    Args:
        kept: whether one whose branch is gone is taken from what has it, only to be looked at.

    Raises:
        CkgitError: there is no such experiment, its files cannot be read, or what was designed has changed.
    """
    return _view(lab, open_snapshot(lab, name, kept=kept))


def open_snapshot(lab: Lab, name: str, *, kept: bool = False) -> Snapshot:
    """The tip of an experiment's branch.

    Args:
        kept: as for `open_experiment`.

    Raises:
        CkgitError: as `take_snapshot`; of a deleted branch also with those of its jobs that go on.
    """
    try:
        return take_snapshot(lab, name, kept=kept)
    except CkgitError as error:
        from ckgit.orchestrators.engine.orphans import with_its_jobs

        raise with_its_jobs(lab, name, error) from None


def _view(lab: Lab, snapshot: Snapshot) -> ExperimentView:
    try:
        ledger = snapshot.ledger()
    except CkgitError as error:
        from ckgit.orchestrators.engine.orphans import with_its_jobs

        raise with_its_jobs(lab, snapshot.name, error) from None
    try:
        context = load_context(lab, snapshot, ledger)
    except CkgitError as error:
        from ckgit.orchestrators.engine.orphans import cancelled_first

        error.next = cancelled_first(snapshot.name, error.next, out=bool(ledger and ledger.open()))
        raise
    return ExperimentView(lab, snapshot, context, ledger)


def open_for_update(lab: Lab, name: str, events: Events) -> ExperimentView:
    """Read an experiment's branch in order to move it on.

    Raises:
        CkgitError: as `open_experiment` and `snapshot_for_update`.
    """
    return _view(lab, snapshot_for_update(lab, name, events))


def snapshot_for_update(lab: Lab, name: str, events: Events) -> Snapshot:
    """The tip of an experiment's branch in order to move it on: first the lab's authority is asked, where it has one.

    A branch that is only behind a remote's, as that was last fetched, is brought up to it.

    Raises:
        CkgitError: as `open_snapshot`; the authority does not answer, or has other commits.
    """
    if kept := authority.fetch(lab, name):
        events.emit(Noted(experiment=name, text=kept))
    snapshot = open_snapshot(lab, name)
    if told := last_fetched.catch_up(lab, name, snapshot.remotes, snapshot.closed):
        for line in told:
            events.emit(Noted(experiment=name, text=line))
        snapshot = open_snapshot(lab, name)
    last_fetched.refuse_stale(lab.branch(name), snapshot.tip, snapshot.remotes)
    return snapshot


def open_as_for_update(lab: Lab, name: str) -> tuple[ExperimentView, Sequence[str]]:
    """What `open_for_update` would read, and what it would tell of bringing the branch up to a remote's; asks nobody, and moves nothing.

    Raises:
        CkgitError: as `open_for_update`, but for what the authority says.
    """
    snapshot, told = snapshot_as_for_update(lab, name)
    return _view(lab, snapshot), told


def snapshot_as_for_update(lab: Lab, name: str) -> tuple[Snapshot, Sequence[str]]:
    """The same of `snapshot_for_update`.

    Raises:
        CkgitError: as `snapshot_for_update`, but for what the authority says.
    """
    snapshot = open_snapshot(lab, name)
    tip, told = last_fetched.would_catch_up(lab, name, snapshot.tip, snapshot.remotes, snapshot.closed)
    if told:
        snapshot = take_snapshot(lab, name, at=tip)
    last_fetched.refuse_stale(lab.branch(name), snapshot.tip, snapshot.remotes)
    return snapshot, told


def check_at(view: ExperimentView, commit: str | None) -> None:
    """Check that the branch is at the commit that was asked for, where one was.

    Raises:
        CkgitError: BRANCH_MOVED, it is at another one.
    """
    if commit and view.snapshot.tip != commit:
        raise CkgitError(
            f"the branch is at {view.snapshot.tip[:12]}, and not at {escaped(commit)[:12]}, for which this was asked",
            code=Exit.BRANCH_MOVED,
            where=f"exp/{view.name}",
            state="nothing was done",
            next=f"ckgit log {view.name} shows what was done since",
        )


def check_unmoved(view: ExperimentView) -> None:
    """Raise `BranchMoved` when the branch is not where it was, or not there."""
    try:
        tip = take_snapshot(view.lab, view.name).tip
    except DeletedError:
        raise BranchMoved from None
    if tip != view.snapshot.tip:
        raise BranchMoved


def prepare(
    view: ExperimentView,
    event: Event,
    *,
    files: Mapping[str, bytes | None],
    logs: Mapping[str, Sequence[tuple[str, str]]],
    ledger: Ledger | None,
    body: str,
    time: str,
) -> CommitPlan:
    """A step with all its files: the summary with the new state and current tables, the ledger, and the logs' new lines.

    Args:
        files: what else it writes, by path of the lab.
        logs: lines of (event, text) by name of the log, e.g. run-experiment.log.
    """
    complete = dict(files)
    for log, lines in logs.items():
        complete[view.path(log)] = appended(view.snapshot.read(view.path(log)), lines, time=time)
    if ledger:
        complete[view.path("jobs.json")] = ledger.dump()
    complete[view.path("experiment_summary.md")] = summary_of(view, check_edge(event, view.snapshot.standing), ledger)
    return CommitPlan(view.name, event, view.snapshot.branch_tip, complete, view.context.summary.digest, body)


def summary_of(view: ExperimentView, state: State, ledger: Ledger | None) -> bytes:
    """The summary of an experiment in another state, with the tables of a ledger; every other byte as it is."""
    summary = view.snapshot.summary.with_state(state)
    for block, markdown in status_blocks(view.context, ledger).items():
        summary = summary.with_block(block, markdown)
    return summary.dump()


def commit_and_tell(lab: Lab, plan: CommitPlan, events: Events) -> RecordedCommit:
    """Make a commit, and say so.

    Raises:
        CkgitError: BRANCH_MOVED when someone else was first; then nothing was changed.
    """
    parent = plan.parent
    kept = kept_note(lab.root, plan.name, KnownTips(parent.left, parent.commit)) if parent else ""
    recorded = RecordedCommit(plan.event, plan.name, make_commit(lab, plan), plan.source, plan.target, plan.body)
    committed = Committed(
        experiment=plan.name,
        commit=recorded.commit,
        records=plan.event,
        source=plan.source,
        target=plan.target,
    )
    events.emit(committed)
    if kept:
        events.emit(Noted(experiment=plan.name, text=kept))
    return recorded
