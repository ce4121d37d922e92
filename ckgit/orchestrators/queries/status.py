"""Where an experiment stands, for `ckgit status`: the branch's tip and the ledger, and a look at jobs that are out.

Of the ledger no more than an outline is read, and what knows schedulers is imported only for jobs that are out: status has 0.2 s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.classify import JobCondition, LedgerOutline, classify, newest, read_outline
from ckgit.experiment.lifecycle import is_closed
from ckgit.experiment.state import Kept, State
from ckgit.jobs.folder import is_there
from ckgit.lab.history.hand_edits import HandEdit, written
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.engine.orphans import Orphan, cancelled_first, known_tokens, still_unknown, way_back, with_its_jobs
from ckgit.orchestrators.queries.overview import ClassifiedJob, LeftTo, Overview, SeenNow
from ckgit.orchestrators.queries.upstream import told_ahead

if TYPE_CHECKING:
    from ckgit.experiment.jobs import Ledger
    from ckgit.experiment.outputs.events import OverallProgress
    from ckgit.experiment.scheduler import JobState
    from ckgit.lab.history.cleanings import RemovedNow
    from ckgit.lab.history.closings import Closing


def overview(lab: Lab, name: str) -> Overview:
    """Where an experiment stands.

    Raises:
        CkgitError: there is no such experiment, or its state or ledger cannot be read; with the jobs that go on.
    """
    try:
        return _overview(lab, take_snapshot(lab, name, kept=True))
    except CkgitError as error:
        raise with_its_jobs(lab, name, error) from None


def _overview(lab: Lab, snapshot: Snapshot) -> Overview:
    name = snapshot.name
    ledger = _outline(snapshot)
    unknown, broken = _beside(lab, name, ledger)
    edited = written(snapshot).edits if snapshot.by_hand or snapshot.rewritten else ()
    statuses, progress = _look(lab, snapshot, ledger) if ledger else ({}, None)
    jobs = _jobs(ledger, statuses) if ledger else []
    conditions = {job.condition for job in jobs}
    wrong = _in_the_way(lab, snapshot, cancelled=JobCondition.CANCELLED in conditions)
    out = any(condition.is_open for condition in conditions)
    return Overview(
        experiment=name,
        state=snapshot.state,
        commit=snapshot.tip,
        time=snapshot.time,
        event=snapshot.event,
        closing=_closing(snapshot),
        kept=snapshot.kept,
        cluster=ledger.cluster if ledger else None,
        scheduler=ledger.scheduler if ledger else None,
        work_tree=ledger.work_tree or None if ledger else None,
        jobs=jobs,
        progress=progress,
        left_to=_left_to(ledger, statuses) if ledger else None,
        accepted_missing=ledger.accepted_missing if ledger else [],
        cells=_cells(snapshot, ledger) if ledger else {},
        removed=_removed(lab, snapshot),
        unknown_jobs=unknown,
        broken=f"{broken.where}: {broken.what}" if broken else None,
        by_hand=snapshot.by_hand,
        edited=edited,
        problem=wrong.what if wrong else None,
        ahead=told_ahead(lab, snapshot),
        rewritten=snapshot.rewritten,
        next=(way_back(lab, name, unknown) if unknown else None)
        or (broken.next if broken else None)
        or _mended(name, wrong, edited, out=out)
        or _next(snapshot, failed=any(condition.is_bad for condition in conditions), out=out),
    )


def _jobs(ledger: LedgerOutline, statuses: Mapping[str, SeenNow]) -> list[ClassifiedJob]:
    """Every job that was submitted."""
    found = []
    for job, attempt in newest(ledger.attempts).items():
        now = statuses.get(attempt.token)
        condition = classify(attempt, seen=now.seen if now else "", accepted=job in ledger.accepted_missing)
        found.append(ClassifiedJob(condition, attempt, now))
    return found


def _beside(lab: Lab, name: str, ledger: LedgerOutline | None) -> tuple[Sequence[Orphan], CkgitError | None]:
    """Jobs that are not in the ledger; and why they cannot be looked for, or nothing else be done: ckgit.toml is broken."""
    unknown: Sequence[Orphan] = []
    try:
        unknown = still_unknown(lab, name, known_tokens(ledger))
        if ledger and any(classify(attempt).is_open for attempt in ledger.attempts):  # then its models are loaded anyway
            lab.cluster()
    except CkgitError as error:
        return unknown, error
    return unknown, None


def _cells(snapshot: Snapshot, ledger: LedgerOutline) -> Mapping[str, Mapping[str, str]]:
    """See `Ledger.cells`, which needs its model; read only where a cell was judged by itself."""
    whole = snapshot.ledger() if any(attempt.cells for attempt in ledger.attempts) else None
    return whole.cells() if whole else {}


def _left_to(ledger: LedgerOutline, statuses: Mapping[str, SeenNow]) -> LeftTo | None:
    """The job that goes on, or its stand-in once that has its place."""
    found = [LeftTo(token, statuses[token], ledger.left_by) for token in ledger.detached]
    return next((each for each in found if each.now.seen in ("queued", "running")), found[0]) if found else None


def _outline(snapshot: Snapshot) -> LedgerOutline | None:
    """The ledger without its model: what status shows of it must be there."""
    content = snapshot.ledger_bytes()
    if content is None:
        return None
    try:
        ledger = read_outline(content)
    except ValueError:
        raise _unreadable(snapshot) from None
    if other := snapshot.other_design(ledger.design, ledger.commit):
        raise snapshot.not_its_ledger(other)
    return ledger


def _unreadable(snapshot: Snapshot) -> CkgitError:
    return CkgitError(
        "the ledger cannot be read",
        code=Exit.EVIDENCE_MISSING,
        where=f"exp/{snapshot.name}:{snapshot.folder}/jobs.json",
        next=f"git log -p exp/{snapshot.name} -- {snapshot.folder}/jobs.json shows which commit broke it; revert that one",
    )


def _look(lab: Lab, snapshot: Snapshot, outline: LedgerOutline) -> tuple[dict[str, SeenNow], OverallProgress | None]:
    """Ask the scheduler for jobs that are out, by token; that nothing can be learned here and now is an answer, too."""
    tokens = [attempt.token for attempt in newest(outline.attempts).values() if classify(attempt).is_open]
    if not tokens and not outline.detached:
        return {}, None
    from ckgit.orchestrators.engine.plugins import scheduler_for

    ledger = snapshot.ledger()
    if not ledger:
        raise _unreadable(snapshot)
    work, known = Path(ledger.work_tree), [*ledger.open(), *(ledger.detached.attempts if ledger.detached else ())]
    try:
        cluster = lab.cluster_of(ledger.model_dump())
        if not is_there(work):
            return {each.token: SeenNow("unknown", f"the work tree {work} is not on this machine") for each in known}, None
        statuses = scheduler_for(cluster).poll(cluster, work, known).statuses
    except CkgitError as error:
        return {each.token: SeenNow("unknown", error.what) for each in known}, None
    progress = _progress(lab, snapshot, ledger, {token: found.state for token, found in statuses.items()}) if tokens else None
    return {token: SeenNow(found.state, found.detail) for token, found in statuses.items()}, progress


def _progress(lab: Lab, snapshot: Snapshot, ledger: Ledger, seen: Mapping[str, JobState]) -> OverallProgress | None:
    """How far the experiment is; None where its design cannot be read, or a tool of it is not installed."""
    from ckgit.experiment.design.model import Stage
    from ckgit.lab.context import load_context
    from ckgit.orchestrators.engine.experiment import ExperimentView
    from ckgit.orchestrators.engine.plugins import worker_for
    from ckgit.orchestrators.run.observe import progress_meter

    try:
        context = load_context(lab, snapshot, ledger)
        workers = {stage: worker for stage in Stage if (worker := worker_for(context.summary, stage))}
    except CkgitError:
        return None
    view = ExperimentView(lab, snapshot, context, ledger)
    return progress_meter(view, workers, Path(ledger.work_tree), once=True).whole(seen)


def _in_the_way(lab: Lab, snapshot: Snapshot, *, cancelled: bool) -> CkgitError | None:
    """Why ckgit would not go on from the branch's design and its inputs.

    Looked for where the last commit is the user's own or was rewritten, or jobs were cancelled: that is done after such a commit, too.
    """
    if not snapshot.by_hand and not snapshot.rewritten and not cancelled:
        return None
    from ckgit.experiment.checks.problems import unrecorded
    from ckgit.lab.context import load_context

    try:
        context = load_context(lab, snapshot)
        lacking = unrecorded(context.summary, context.plan)
    except CkgitError as error:
        return error
    what = f"the design was changed by hand, and this was not measured: {', '.join(lacking)}"
    return CkgitError(what, code=Exit.EVIDENCE_MISSING, next=f"ckgit revise {snapshot.name}") if lacking else None


def _mended(name: str, wrong: CkgitError | None, edited: Sequence[HandEdit], *, out: bool) -> str | None:
    """What mends a branch from which ckgit would not go on."""
    if wrong:
        return cancelled_first(name, wrong.next, out=out)
    if all(edit.scaffolded for edit in edited):
        return None
    from ckgit.lab.history.hand_edits import restored

    return restored(name, edited)


def _closing(snapshot: Snapshot) -> Closing | None:
    if not is_closed(snapshot.standing):
        return None
    from ckgit.lab.history.closings import closing_of

    return closing_of(snapshot)


def _removed(lab: Lab, snapshot: Snapshot) -> RemovedNow | None:
    if snapshot.state not in (State.EVALUATED, State.ANALYZED):  # before, no step of it may be removed that one goes on from
        return None
    from ckgit.lab.history.cleanings import removed_now

    return removed_now(lab.root, snapshot.name, snapshot.tip, "" if snapshot.kept is Kept.MERGED else lab.base)


def _next(snapshot: Snapshot, *, failed: bool, out: bool) -> str:
    name, state = snapshot.name, snapshot.state
    if is_closed(snapshot.standing):
        return f"ckgit show {name}; ckgit close {name} --reopen opens it again"
    if state is State.ANALYZED or snapshot.kept:
        return f"ckgit show {name}"
    if failed and not out and state in (State.SCAFFOLDED, State.TRAINED):
        return f"ckgit why {name}; then ckgit retry {name}"
    return f"ckgit advance {name}"
