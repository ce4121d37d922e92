"""What jobs left is what the ledger says of it, and its logs are of those very jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from ckgit.errors import CkgitError
from ckgit.experiment.classify import newest
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, Job, Phase
from ckgit.experiment.outputs.findings import Finding
from ckgit.experiment.results import CellResult, TrainingResult
from ckgit.experiment.worker import Evaluator, Worker
from ckgit.orchestrators.engine.plugins import worker_for
from ckgit.orchestrators.review import rules
from ckgit.orchestrators.review.verify.checks.ledger import ended
from ckgit.orchestrators.review.verify.checks.step import Step, in_words
from ckgit.orchestrators.run.collect import early, foreign_starts, rows_of


def evidence(step: Step) -> Iterator[Finding]:
    """What the attempts left that ended with a step."""
    attempts = ended(step.ledger_before, step.ledger)
    if not attempts:
        return
    yield from _digests(step, attempts)
    planned = _planned(step)
    for attempt in newest(attempts).values():  # of several that ended at once the ledger's check tells
        if attempt.job in planned and (attempt.phase is Phase.DONE or any(not why for why in attempt.cells.values())):
            yield from _results(step, *planned[attempt.job], attempt)


def _planned(step: Step) -> Mapping[str, tuple[Job, Worker]]:
    context = step.view.context
    workers = filter(None, (worker_for(context.summary, stage) for stage in Stage))
    return {job.name: (job, worker) for worker in workers for job in worker.jobs(context)}


def results_of(step: Step, attempt: Attempt) -> Sequence[TrainingResult | CellResult]:
    """What an attempt left, as its worker reads it: once, as logs are large.

    Raises:
        ValueError: it cannot be read, or the design has no such job.
        CkgitError: likewise.
    """
    if attempt.token not in step.results:
        if not (found := _planned(step).get(attempt.job)):
            raise ValueError(f"the design has no job {attempt.job}")
        job, worker = found
        step.results[attempt.token] = worker.results(step.view.context, job, attempt, _files(step, job))
    return step.results[attempt.token]


def _files(step: Step, job: Job) -> Mapping[str, bytes]:
    """What a job's results are read from, by path."""
    return step.after.read_many(step.after.list(step.view.context.run_folder(job.run)))


def _digests(step: Step, attempts: Sequence[Attempt]) -> Iterator[Finding]:
    """Each file that an attempt left has the digest that the ledger keeps of it."""
    silent = [attempt.job for attempt in attempts if not attempt.files and attempt.phase is Phase.DONE]
    if silent:
        what, path = "digests of what jobs left were not recorded then", f"{step.folder}/jobs.json"
        yield rules.UNCHECKED.found(what, commit=step.commit.oid, path=path)
    wanted = {f"{step.folder}/{path}": digest for attempt in attempts for path, digest in attempt.files.items()}
    there = step.after.read_many(wanted)
    for path, digest in wanted.items():
        if path not in there:
            yield rules.EVIDENCE.found("the ledger lists it, and it is not there", commit=step.commit.oid, path=path)
        elif hashlib.sha256(there[path]).hexdigest() != digest:
            yield rules.EVIDENCE.found("it is not what its job left: the ledger has another digest", commit=step.commit.oid, path=path)


def _results(step: Step, job: Job, worker: Worker, attempt: Attempt) -> Iterator[Finding]:
    """Its logs can be read, are of this job, and count."""
    place = f"{step.folder}/{job.folder.removeprefix(f'{step.folder}/')}"
    try:
        found = results_of(step, attempt)
    except ValueError as error:
        yield rules.EVIDENCE.found(f"{job.name}: {error}", commit=step.commit.oid, path=place)
        return
    except CkgitError as error:
        yield rules.EVIDENCE.found(f"{job.name}: {in_words(error)}", commit=step.commit.oid, path=place)
        return
    if not found:
        yield rules.EVIDENCE.found(f"{job.name} is done, and left no log", commit=step.commit.oid, path=place)
    if attempt.phase is Phase.DONE:
        yield from _early(step, attempt, early(found))
    for why in _foreign(step, job, found):
        yield rules.EVIDENCE.found(f"{job.name}: {why}", commit=step.commit.oid, path=place)
    # Which rows those are is said by the rules of one version; of those that were taken over it may be another's.
    if step.is_ours and attempt.rows != rows_of(found) and not (attempt.rows is None and attempt.kept):
        what, path = f"{job.name}: the ledger has other rows than its logs ask", f"{step.folder}/jobs.json"
        yield rules.EVIDENCE.found(what, commit=step.commit.oid, path=path)
    if job.stage is Stage.EVALUATION:
        audit = cast("Evaluator", worker).audit(step.view.context, job, attempt, _files(step, job))
        yield from (rules.METRIC.found(why, commit=step.commit.oid, path=place) for why in audit.differences)
        yield from (rules.UNCHECKED.found(why, commit=step.commit.oid, path=place) for why in audit.unchecked)


def _early(step: Step, attempt: Attempt, stopped: str | None) -> Iterator[Finding]:
    """Of a training that stopped early the ledger says what its log shows, and of no other anything."""
    path = f"{step.folder}/jobs.json"
    if stopped and attempt.reason is None:
        yield rules.UNCHECKED.found(f"that {attempt.job} {stopped} was not recorded then", commit=step.commit.oid, path=path)
    elif attempt.reason != stopped and not (stopped and not step.is_ours):  # in words of its version
        what = f"of {attempt.job} it says {attempt.reason!r}, and what that left shows {stopped or 'no early stop'}"
        yield rules.LEDGER.found(what, commit=step.commit.oid, path=path)


def _foreign(step: Step, job: Job, found: Sequence[TrainingResult | CellResult]) -> Iterator[str]:
    attempts = step.ledger.attempts if step.ledger else ()
    if why := foreign_starts(attempts, job, found):
        yield why
    yield from (f"its log is of run {result.run}" for result in found if result.run != job.run)
    known = {None, *(attempt.token for attempt in attempts if attempt.job == job.name)}  # none was recorded before
    made_by = [result.token for result in found if isinstance(result, CellResult)]
    yield from (f"its log was made by {token}, which is no attempt at it" for token in made_by if token not in known)
