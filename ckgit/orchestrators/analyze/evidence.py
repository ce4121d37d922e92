"""What each job of a design left, read from its committed logs and held against what it should have left."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from ckgit.analysis.assemble import ResultsByJob
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.classify import newest
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, Job, Phase
from ckgit.experiment.results import CellResult, TrainingResult
from ckgit.experiment.worker import Context, Worker
from ckgit.formats.listing import first_of
from ckgit.lab.history.hand_edits import edit_lines, restored, written
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.plugins import worker_for
from ckgit.orchestrators.run.collect import foreign_starts


def planned_jobs(context: Context) -> list[tuple[Job, Worker]]:
    """Every job that the design makes, run by run, with the worker that can read what it left."""
    workers = filter(None, (worker_for(context.summary, stage) for stage in Stage))
    jobs = [(job, worker) for worker in workers for job in worker.jobs(context)]
    position = {run.name: place for place, run in enumerate(context.plan.runs)}
    return sorted(jobs, key=lambda each: position[each[0].run])


def collected(view: ExperimentView, planned: Sequence[tuple[Job, Worker]]) -> tuple[ResultsByJob, Mapping[str, Sequence[str]]]:
    """What finished jobs left, and why accepted ones, or cells of them, left nothing.

    Raises:
        CkgitError: EVIDENCE_MISSING, with every problem.
    """
    context, snapshot, ledger = view.context, view.snapshot, view.ledger
    left: dict[str, Sequence[TrainingResult | CellResult]] = {}
    missing: dict[str, Sequence[str]] = {}
    ours = written(snapshot)
    edits = [edit for edit in ours.edits if not edit.scaffolded]
    problems = edit_lines(edits)
    attempts = newest(view.attempts)
    cells = ledger.cells() if ledger else {}
    files = _RunFiles(snapshot, ours.paths)
    for job, worker in planned:
        attempt = attempts.get(job.name)
        if not attempt or attempt.phase is not Phase.DONE:
            if not ledger or job.name not in ledger.accepted_missing:
                problems.append(f"{job.name}: {f'its last attempt is {attempt.phase}' if attempt else 'it never ran'}")
                continue
            missing[job.name] = _missing(context, job, attempt, cells.get(job.name))
        if counting := _counting(attempt, cells.get(job.name)):
            try:
                found = worker.results(context, job, counting, files.of(context.run_folder(job.run)))
                left[job.name] = _checked(job, view.attempts, found, _tasks(context, job, counting))
                _refuse_unknown_words(worker, found)
            except ValueError as error:
                problems.append(f"{job.name}: {error}")
    if problems:
        raise refused(snapshot, problems, restored(snapshot.name, edits) if edits else "")
    return left, missing


def _missing(context: Context, job: Job, attempt: Attempt | None, cells: Mapping[str, str] | None) -> list[str]:
    """Why a job that was accepted as missing left nothing; of several cells, why each of those did that does not count."""
    reason = (attempt.reason if attempt else None) or "its run was not trained"
    planned = context.plan.evaluation_jobs.get(job.name, [])
    known = cells or {cell.name: reason for cell in planned if len(planned) > 1}
    return [f"{cell}: {why}" for cell, why in known.items() if why] or [reason]


def _counting(attempt: Attempt | None, cells: Mapping[str, str] | None) -> Attempt | None:
    """The attempt whose results count, all of them or those of some cells."""
    if attempt and attempt.phase is not Phase.DONE:
        return attempt.model_copy(update={"cells": cells}) if cells and not all(cells.values()) else None
    return attempt


def _tasks(context: Context, job: Job, attempt: Attempt) -> list[str]:
    """Tasks of the cells that count."""
    if not attempt.cells:
        return list(job.tasks)
    return [cell.task.name for cell in context.plan.evaluation_jobs.get(job.name, ()) if not attempt.cells.get(cell.name)]


class _RunFiles:
    """Files of ckgit's in one run's folder at a time: the jobs of a run follow each other, and logs are large."""

    def __init__(self, snapshot: Snapshot, paths: Iterable[str]) -> None:
        self._snapshot = snapshot
        self._paths = sorted(paths)
        self._folder = ""
        self._files: Mapping[str, bytes] = {}

    def of(self, folder: str) -> Mapping[str, bytes]:
        if folder != self._folder:
            self._folder = folder
            self._files = self._snapshot.read_many(path for path in self._paths if path.startswith(f"{folder}/"))
        return self._files


def _checked(
    job: Job, attempts: Sequence[Attempt], found: Sequence[TrainingResult | CellResult], tasks: Sequence[str]
) -> Sequence[TrainingResult | CellResult]:
    if not found:
        raise ValueError("its logs are not on the branch")
    cells = [result for result in found if isinstance(result, CellResult)]
    others = [result.run for result in found if result.run != job.run]
    others += [cell.run for cell in cells if (cell.epoch, cell.checkpoint) != (job.epoch, job.checkpoint)]
    if others or [cell.task for cell in cells] != tasks:
        raise ValueError(f"its log is of another job (run {(others or [job.run])[0]})")
    if why := foreign_starts(attempts, job, found):
        raise ValueError(why)
    return found


def _refuse_unknown_words(worker: Worker, found: Sequence[TrainingResult | CellResult]) -> None:
    """What a tool says in its own terms must be what its worker says that it may.

    Raises:
        ValueError: it is not.
    """
    for result in found:
        if isinstance(result, TrainingResult) and result.own:
            model = getattr(worker, "result", None)
            if model is None:
                raise ValueError(f"{worker.label} has no words of its own, and its result has some")
            model.model_validate_json(json.dumps(result.own))


def refused(snapshot: Snapshot, problems: Sequence[str], mend: str = "") -> CkgitError:
    """The error that names what the logs lack, and with what to mend it; by reverting or running again, where nothing is named."""
    return CkgitError(
        "\n  ".join(["the logs do not carry a report:", *first_of(problems)]),
        code=Exit.EVIDENCE_MISSING,
        where=f"exp/{snapshot.name} at {snapshot.tip[:12]}",
        state="nothing was written",
        next=mend
        or f"git log exp/{snapshot.name} shows which commit changed the logs; revert it, or run again: ckgit revise {snapshot.name}",
    )
