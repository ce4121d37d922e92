"""Where an experiment stands, as its branch tells, and the one way to move it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckgit.analysis.tables import status_blocks
from ckgit.errors import CkgitError
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import Ledger
from ckgit.experiment.lifecycle import Event, check_edge
from ckgit.experiment.worker import Context
from ckgit.lab.commit import preview, record
from ckgit.lab.context import load_context
from ckgit.lab.git.tips import Left, kept_note
from ckgit.lab.lab import Lab
from ckgit.lab.remotes import authority
from ckgit.lab.snapshot import DeletedError, Snapshot, take_snapshot
from ckgit.orchestrators.engine.logs import appended
from ckgit.orchestrators.engine.orphans import cancelled_first, with_its_jobs
from ckgit.orchestrators.engine.reporter import Talk


class Standing(NamedTuple):
    """An experiment at one commit of its branch."""

    lab: Lab
    snapshot: Snapshot
    context: Context
    ledger: Ledger | None

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.snapshot.name

    def path(self, name: str) -> str:
        """A file of the experiment's folder, as a path of the lab."""
        return f"{self.context.folder}/{name}"


class Step(NamedTuple):
    """A commit that is to be made: what it records, what it writes, and its text for people."""

    event: Event
    files: Mapping[str, bytes | None]
    body: str


class Taken(NamedTuple):
    """A step that was made."""

    event: Event
    experiment: str
    commit: str
    source: State
    target: State
    body: str

    @property
    def headline(self) -> str:
        """What happened, in one line."""
        return f"{self.event} {self.experiment}: {self.source} -> {self.target} ({self.commit[:12]})"


class Moved(Exception):  # noqa: N818 - no error: the caller looks again
    """The branch is not where it was."""


def stand(lab: Lab, name: str) -> Standing:
    """Read an experiment's branch.

    Raises:
        CkgitError: there is no such experiment, its files cannot be read, or what was designed has changed.
    """
    return _standing(lab, _snapshot(lab, name))


def _snapshot(lab: Lab, name: str) -> Snapshot:
    try:
        return take_snapshot(lab, name)
    except DeletedError as gone:
        raise with_its_jobs(lab, gone) from None


def _standing(lab: Lab, snapshot: Snapshot) -> Standing:
    ledger = snapshot.ledger()
    try:
        context = load_context(lab, snapshot, ledger.cluster if ledger else None)
    except CkgitError as error:
        error.next = cancelled_first(snapshot.name, error.next, out=bool(ledger and ledger.open()))
        raise
    return Standing(lab, snapshot, context, ledger)


def begin(lab: Lab, name: str, talk: Talk) -> Standing:
    """Read an experiment's branch in order to move it on: first the lab's authority is asked, where it has one.

    Raises:
        CkgitError: as `stand`; the authority does not answer, or has other commits.
    """
    if kept := authority.fetch(lab, name):
        talk.say(kept)
    snapshot = _snapshot(lab, name)
    authority.refuse_stale(lab, snapshot)
    return _standing(lab, snapshot)


def check_unmoved(standing: Standing) -> None:
    """Raise `Moved` when the branch is not where it was, or not there."""
    try:
        tip = take_snapshot(standing.lab, standing.name).tip
    except DeletedError:
        raise Moved from None
    if tip != standing.snapshot.tip:
        raise Moved


def prepare(
    standing: Standing,
    event: Event,
    *,
    files: Mapping[str, bytes | None],
    logs: Mapping[str, Sequence[tuple[str, str]]],
    ledger: Ledger | None,
    body: str,
    time: str,
) -> Step:
    """A step with all its files: the summary with the new state and current tables, the ledger, and the logs' new lines.

    Args:
        files: what else it writes, by path of the lab.
        logs: lines of (event, text) by name of the log, e.g. run-experiment.log.
    """
    complete = dict(files)
    for log, lines in logs.items():
        complete[standing.path(log)] = appended(standing.snapshot.read(standing.path(log)), lines, time=time)
    if ledger:
        complete[standing.path("jobs.json")] = ledger.dump()
    complete[standing.path("experiment_summary.md")] = _summary(standing, check_edge(event, standing.snapshot.state), ledger)
    return Step(event, complete, body)


def _summary(standing: Standing, state: State, ledger: Ledger | None) -> bytes:
    summary = standing.snapshot.summary.with_state(state)
    for block, markdown in status_blocks(standing.context, ledger).items():
        summary = summary.with_block(block, markdown)
    return summary.dump()


def take(standing: Standing, step: Step, talk: Talk) -> Taken:
    """Commit a step, and say so.

    Raises:
        CkgitError: BRANCH_MOVED when someone else was first; then nothing was changed.
    """
    summary, snapshot = standing.context.summary, standing.snapshot
    target = check_edge(step.event, snapshot.state)
    kept = kept_note(snapshot.root, standing.name, Left(snapshot.left, snapshot.tip))
    sha = record(
        standing.lab, name=standing.name, event=step.event, parent=snapshot, files=step.files, design_digest=summary.digest, body=step.body
    )
    taken = Taken(step.event, standing.name, sha, snapshot.state, target, step.body)
    talk.say(taken.headline)
    if kept:
        talk.say(kept)
    return taken


def show(standing: Standing, step: Step) -> str:
    """What `take` would commit: the message and the paths."""
    return preview(standing.name, step.event, standing.snapshot, step.files, standing.context.summary.digest, step.body)
