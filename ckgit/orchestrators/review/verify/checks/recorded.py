"""What this ckgit records of attempts that ended fits together, whatever tools and schedulers left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from ckgit.experiment.classify import classify
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, Ledger, Phase
from ckgit.orchestrators.review.verify.checks.step import Step


def recorded(step: Step, before: Ledger | None, after: Ledger) -> Iterator[str]:
    """What is wrong with a ledger by itself, in sentences, as far as a step has changed it."""
    if "jobs.json" in step.changed and step.after.ledger_bytes() != after.dump():
        yield "it is not written as ckgit writes it"
    if after.schema_version != Ledger.model_fields["schema_version"].default:
        yield f"it says that it has schema_version {after.schema_version}"
    known = {attempt.token: attempt for attempt in (before.attempts if before else ())}
    for attempt in after.attempts:
        if not classify(attempt).is_open and attempt != known.get(attempt.token):
            yield from (f"attempt {attempt.number} at {attempt.job} {why}" for why in _against(step, attempt, after.scheduler))
    yield from _accepted(step, after, [job for job in after.accepted_missing if job not in (before.accepted_missing if before else ())])


def _accepted(step: Step, after: Ledger, jobs: Sequence[str]) -> Iterator[str]:
    """What is passed over was planned, is not done, and is passed over when its stage is passed."""
    if jobs and all(stage.row.event is not step.event for stage in Stage):
        yield f"{jobs[0]} is accepted as missing by a step that passes no stage"
    plan, done = step.view.context.plan, {attempt.job for attempt in after.attempts if attempt.phase is Phase.DONE}
    known = {run.job for run in plan.training} | plan.evaluation_jobs.keys()
    yield from (f"{job} is accepted as missing, and is done" for job in jobs if job in done)
    yield from (f"{job} is accepted as missing, and there is no such job" for job in jobs if job not in known)


def _against(step: Step, attempt: Attempt, scheduler: str) -> Iterator[str]:
    if (attempt.failure is None) is not (attempt.phase is Phase.DONE):
        yield f"is {attempt.phase}, and its failure is {attempt.failure or 'not named'}"
    own = (attempt.log or "").removeprefix(f"{step.folder}/")
    if own and attempt.files and own not in attempt.files:
        yield f"has {own} for its log, which is not among what it left"
    cells = {cell.name for cell in step.view.context.plan.evaluation_jobs.get(attempt.job, ())}
    if attempt.cells and (attempt.phase is Phase.DONE or attempt.cells.keys() - cells):
        yield "tells of cells that it has not, or that are done"
    yield from _in_time(attempt, scheduler)


def _in_time(attempt: Attempt, scheduler: str) -> Iterator[str]:
    """A job's own machine says when it started and ended, so what follows from both is exact where nobody else keeps account."""
    if not (attempt.started and attempt.ended) or attempt.declared_lost:
        return
    try:
        submitted, started, ended = map(datetime.fromisoformat, (attempt.submitted, attempt.started, attempt.ended))
        waited, took = (started - submitted).total_seconds(), (ended - started).total_seconds()
    except (ValueError, TypeError):
        yield "has a time that is none"
        return
    if took < 0 and attempt.phase is not Phase.CANCELLED:
        yield f"ended ({attempt.ended}) before it started ({attempt.started})"
    usage = attempt.usage
    if usage and scheduler == "local" and attempt.phase is not Phase.CANCELLED:
        told = (usage.queue_seconds, usage.elapsed_seconds, usage.node)
        if told != (max(waited, 0.0), max(took, 0.0), attempt.host):
            yield f"waited, took and was on {told}, which its times and its host do not say"
