"""Where an experiment stands, for `ckgit status`: the branch's tip and the ledger, and a look at jobs that are out.

The ledger is read as plain JSON, and what knows schedulers is imported only for jobs that are out: status has 0.2 s.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.state import State
from ckgit.formats.plain_json import read_json
from ckgit.lab.hand_edits import HandEdit, written
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot import Snapshot, take_snapshot
from ckgit.orchestrators.engine.orphans import Orphan, cancelled_first, known_tokens, still_unknown, way_back, with_its_jobs

SUBMITTED = "submitted"
_BAD = ("failed", "cancelled")


class OpenJob(NamedTuple):
    """A job that is out, and what its scheduler says of it now."""

    job: str
    stage: str
    token: str
    seen: str
    detail: str


class FailedJob(NamedTuple):
    """A job whose newest attempt ended badly."""

    job: str
    attempt: int
    phase: str
    failure: str | None
    reason: str | None


class Overview(NamedTuple):
    """Where an experiment stands."""

    experiment: str
    state: State
    commit: str
    event: str | None  # what the last commit of ckgit's recorded
    cluster: str | None  # None before the first submission
    scheduler: str | None
    work_tree: str | None
    stages: Mapping[str, Mapping[str, int]]  # jobs that were submitted, by stage and by the phase of their newest attempt
    open: Sequence[OpenJob]
    left_to: OpenJob | None  # the job of `advance --detach` that goes on
    failed: Sequence[FailedJob]
    accepted_missing: Sequence[str]
    cells: Mapping[str, Mapping[str, str]]  # by failed job of several cells: why each does not count; empty for one that does
    unknown_jobs: Sequence[Orphan]  # that run, and are not in the ledger
    broken: str | None  # what is wrong with ckgit.toml: where it is not TOML, jobs that are in no ledger are not found
    by_hand: bool  # whether the last commit is the user's
    edited: Sequence[HandEdit]  # files of ckgit's that are not as it left them; looked for where that, or a rewritten one, is at the tip
    problem: str | None  # what is wrong with the design or its inputs, so that ckgit would not go on; looked for as `edited`
    rewritten: str | None  # commit at which ckgit left the branch, where that holds it no more
    next: str


def overview(lab: Lab, name: str) -> Overview:
    """Where an experiment stands.

    Raises:
        CkgitError: there is no such experiment, or its state or ledger cannot be read; with the jobs that go on.
    """
    try:
        return _overview(lab, take_snapshot(lab, name))
    except CkgitError as error:
        raise with_its_jobs(lab, name, error) from None


def _overview(lab: Lab, snapshot: Snapshot) -> Overview:
    name = snapshot.name
    ledger = _read_ledger(snapshot)
    unknown, broken = _beside(lab, name, ledger)
    edited = written(snapshot).edits if snapshot.by_hand or snapshot.rewritten else ()
    newest = {attempt["job"]: attempt for attempt in ledger.get("attempts", [])}.values()
    accepted = ledger.get("accepted_missing", [])
    stages = _phases(newest, accepted)
    failed = [_failed(attempt) for attempt in newest if attempt["phase"] in _BAD and attempt["job"] not in accepted]
    detached = _going_on(ledger)
    opened = _look(lab, snapshot, ledger, [*(attempt for attempt in newest if attempt["phase"] == SUBMITTED), *detached])
    left_to = _left_to([opened.pop() for _ in detached])
    wrong = _in_the_way(lab, snapshot, stages)
    return Overview(
        experiment=name,
        state=snapshot.state,
        commit=snapshot.tip,
        event=snapshot.event,
        cluster=ledger.get("cluster"),
        scheduler=ledger.get("scheduler"),
        work_tree=ledger.get("work_tree") or None,
        stages=stages,
        open=opened,
        left_to=left_to,
        failed=failed,
        accepted_missing=accepted,
        cells=_cells(ledger),
        unknown_jobs=unknown,
        broken=f"{broken.where}: {broken.what}" if broken else None,
        by_hand=snapshot.by_hand,
        edited=edited,
        problem=wrong.what if wrong else None,
        rewritten=snapshot.rewritten,
        next=(way_back(lab, name, unknown) if unknown else None)
        or (broken.next if broken else None)
        or _mended(name, wrong, edited, out=bool(opened))
        or _next(name, snapshot.state, failed=bool(failed), out=bool(opened)),
    )


def _beside(lab: Lab, name: str, ledger: Mapping[str, Any]) -> tuple[Sequence[Orphan], CkgitError | None]:
    """Jobs that are not in the ledger; and why they cannot be looked for, or nothing else be done: ckgit.toml is broken."""
    unknown: Sequence[Orphan] = []
    try:
        unknown = still_unknown(lab, name, known_tokens(ledger))
        if any(attempt["phase"] == SUBMITTED for attempt in ledger.get("attempts", [])):  # then its models are loaded anyway
            lab.cluster()
    except CkgitError as error:
        return unknown, error
    return unknown, None


def _phases(newest: Iterable[Mapping[str, Any]], accepted: Container[str]) -> dict[str, Counter[str]]:
    """How many jobs there are, by stage and by the phase of their newest attempt."""
    stages: dict[str, Counter[str]] = {}
    for attempt in newest:
        phase = "accepted as missing" if attempt["job"] in accepted and attempt["phase"] != "done" else attempt["phase"]
        stages.setdefault(attempt["stage"], Counter())[phase] += 1
    return stages


def _cells(ledger: Mapping[str, Any]) -> Mapping[str, Mapping[str, str]]:
    """See `Ledger.cells`, which needs its model; read only where a cell was judged by itself."""
    if not any(attempt.get("cells") for attempt in ledger.get("attempts", [])):
        return {}
    from ckgit.experiment.jobs import Ledger

    return Ledger.model_validate_json(json.dumps(ledger)).cells()


def _left_to(found: Sequence[OpenJob]) -> OpenJob | None:
    """The job that goes on, or its stand-in once that has its place."""
    return next((each for each in found if each.seen in ("queued", "running")), found[-1]) if found else None


def _going_on(ledger: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The job of `advance --detach` and its stand-in, as attempts; see `Detached`. None where there is no such job."""
    detached = ledger.get("detached")
    if not detached:
        return []
    known = {"submitted": detached["submitted"], "phase": SUBMITTED, "job": "advance", "stage": "evaluation", "number": 1}
    return [{**known, "script_sha256": "", "token": token} for token in (detached["token"], f"{detached['token']}.again")]


def _read_ledger(snapshot: Snapshot) -> dict[str, Any]:
    """The ledger without its model: what status shows of it must be there."""
    content = snapshot.ledger_bytes()
    if content is None:
        return {}
    try:
        ledger: dict[str, Any] = read_json(content)
        whole = _is_whole(ledger)
    except (ValueError, LookupError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise _unreadable(snapshot)
    if other := snapshot.other_design(str(ledger.get("design", "")), str(ledger.get("commit", ""))):
        raise snapshot.not_its_ledger(other)
    return ledger


def _is_whole(ledger: Mapping[str, Any]) -> bool:
    """Whether what status shows of a ledger is there, and of the right types."""
    attempts, detached, absent = ledger["attempts"], ledger.get("detached"), ""
    texts = [ledger["cluster"], ledger["scheduler"], ledger.get("work_tree", absent), *ledger.get("accepted_missing", [])]
    texts += [detached["token"], detached["submitted"]] if detached is not None else []
    texts += [attempt[key] for attempt in attempts for key in ("job", "stage", "phase", "token")]
    texts += [attempt.get(key, absent) for attempt in attempts for key in ("failure", "reason")]
    return all(isinstance(text, str) for text in texts)


def _unreadable(snapshot: Snapshot) -> CkgitError:
    return CkgitError(
        "the ledger cannot be read",
        code=Exit.EVIDENCE_MISSING,
        where=f"exp/{snapshot.name}:{snapshot.folder}/jobs.json",
        next="git log -p on that file shows which commit broke it; revert that one",
    )


def _failed(attempt: Mapping[str, Any]) -> FailedJob:
    return FailedJob(attempt["job"], attempt.get("number", 1), attempt["phase"], attempt.get("failure"), attempt.get("reason"))


def _look(lab: Lab, snapshot: Snapshot, ledger: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]]) -> list[OpenJob]:
    """Ask the scheduler for jobs that are out; that nothing can be learned here and now is an answer, too."""
    if not attempts:
        return []
    from ckgit.experiment.jobs import Attempt
    from ckgit.orchestrators.engine.plugins import scheduler_for

    try:
        cluster = lab.cluster_of(ledger)
        work = Path(ledger["work_tree"])
        if not work.is_dir():
            return [_open(each, "unknown", f"the work tree {work} is not on this machine") for each in attempts]
        try:
            known = [Attempt.model_validate_json(json.dumps(each)) for each in attempts]
        except ValueError:
            raise _unreadable(snapshot) from None
        statuses = scheduler_for(cluster).poll(cluster, work, known).statuses
    except CkgitError as error:
        if error.code is Exit.EVIDENCE_MISSING:
            raise
        return [_open(each, "unknown", error.what) for each in attempts]
    return [_open(each, str(found.state), found.detail) for each in attempts if (found := statuses[each["token"]])]


def _open(attempt: Mapping[str, Any], seen: str, detail: str) -> OpenJob:
    return OpenJob(attempt["job"], attempt["stage"], attempt["token"], seen, detail)


def _in_the_way(lab: Lab, snapshot: Snapshot, stages: Mapping[str, Counter[str]]) -> CkgitError | None:
    """Why ckgit would not go on from the branch's design and its inputs.

    Looked for where the last commit is the user's own or was rewritten, or jobs were cancelled: that is done after such a commit, too.
    """
    if not snapshot.by_hand and not snapshot.rewritten and not any("cancelled" in phases for phases in stages.values()):
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
    from ckgit.orchestrators.engine.integrity import restored

    return restored(name, edited)


def _next(name: str, state: State, *, failed: bool, out: bool) -> str:
    if state is State.ANALYZED:
        return f"ckgit show {name}"
    if failed and not out and state in (State.SCAFFOLDED, State.TRAINED):
        return f"ckgit why {name}; then ckgit retry {name}"
    return f"ckgit advance {name}"
