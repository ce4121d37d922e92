"""What `ckgit show` tells of an experiment or one of its runs: design, runs, cells, attempts, and results where there are some."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from ckgit.analysis.accounting import account
from ckgit.analysis.tables import JobRow, job_rows
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.accounting import Accounting
from ckgit.experiment.checks.run_names import choose_run
from ckgit.experiment.design.plan import Run
from ckgit.experiment.jobs import Attempt
from ckgit.experiment.outputs.fields import Closed
from ckgit.experiment.outputs.shown import (
    DetailedRun,
    ShowDocument,
    ShownCell,
    ShownEnding,
    ShownJob,
    ShownOrigin,
    ShownParameter,
    ShownRow,
    ShownRun,
    ShownWeights,
    ShowRunDocument,
)
from ckgit.experiment.outputs.standing import EditedFile, LeftToJob
from ckgit.experiment.reproduction.record import Reproduction
from ckgit.experiment.results import CellResult, Results, RunRow, TrainingResult
from ckgit.experiment.state import State
from ckgit.formats.times import utc
from ckgit.lab.history.closings import Closing, closing_of
from ckgit.lab.history.hand_edits import HandEdit, edit_lines, restored, written
from ckgit.lab.history.reproductions import reproductions
from ckgit.orchestrators.design.reuse import TrainingOrigin, origin
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.queries import settings
from ckgit.orchestrators.queries.so_far import EndedSince, SoFar
from ckgit.orchestrators.queries.upstream import told_ahead


class ExperimentDetails(NamedTuple):
    """An experiment as its branch has it."""

    view: ExperimentView
    runs: Sequence[Run]  # all, or the one that was asked for
    jobs: Sequence[JobRow]
    results: Results | None  # None before analyze
    attempts: Sequence[Attempt]  # every one of these runs' jobs, in order
    accounting: Accounting  # what those that ended took, analyzed or not
    closing: Closing | None  # the step that closed it; None where it is open
    ahead: Sequence[str]  # a sentence on each remote's branch that has commits which this one lacks
    edited: Sequence[HandEdit] = ()  # files of ckgit's that are not as it left them
    reproductions: Sequence[Reproduction] = ()  # what second executions of these runs came to

    @property
    def report(self) -> str | None:
        """Path of the report on the branch; None before analyze."""
        return self.view.path("analysis/report.md") if self.results else None

    def result(self, run: str) -> RunRow | None:
        """What was found of a run; None before analyze."""
        return next((row for row in self.results.runs if row.name == run), None) if self.results else None


def describe(view: ExperimentView, run: str | None) -> ExperimentDetails:
    """An experiment, or one run of it.

    Raises:
        CkgitError: there is no such run, or the results cannot be read.
    """
    plan = view.context.plan
    chosen = [each for each in plan.runs if run in (None, each.name)]
    if not chosen:
        known = choose_run(run or "", [each.name for each in plan.runs])
        raise CkgitError(f"{view.name} has no run {run!r}", code=Exit.USAGE, next=known)
    jobs = [job for job in job_rows(view.context, view.ledger) if run in (None, job.run)]
    listed = {job.job for job in jobs}
    attempts = [attempt for attempt in (view.ledger.attempts if view.ledger else ()) if attempt.job in listed]
    estimate = view.snapshot.estimate()
    edited = written(view.snapshot).edits if view.snapshot.by_hand or view.snapshot.rewritten else ()
    costs = account(attempts, estimate and estimate.of(listed))
    ahead = told_ahead(view.lab, view.snapshot)
    again = [each for each in reproductions(view.lab, view.name, view.snapshot.tip) if run is None or run in each.runs]
    results, closing = _results(view, edited), closing_of(view.snapshot)
    return ExperimentDetails(view, chosen, jobs, results, attempts, costs, closing, ahead, edited, again)


def _results(view: ExperimentView, edited: Sequence[HandEdit]) -> Results | None:
    if view.snapshot.state is not State.ANALYZED:
        return None
    path = view.path("analysis/results.json")
    edits = [edit for edit in edited if edit.path == path]
    results = _read_results(view, path, restored(view.name, edits) if edits else "")
    if edits:
        raise CkgitError(
            f"these are not the results that analyze committed: {edit_lines(edits)[0]}",
            code=Exit.EVIDENCE_MISSING,
            where=f"exp/{view.name}",
            state="nothing is shown of them",
            next=restored(view.name, edits),
        )
    found, own = (results.experiment, results.design), (view.name, view.context.summary.digest)
    if found != own:
        raise CkgitError(
            f"the results are of another design: experiment {found[0]}, hash {found[1][:12]}; this is {own[0]}, hash {own[1][:12]}",
            code=Exit.EVIDENCE_MISSING,
            where=f"exp/{view.name}:{path}",
            state="nothing is shown of them",
            next=f"git log exp/{view.name} -- {path} shows where they came from; ckgit revise {view.name} begins anew",
        )
    return results


def _read_results(view: ExperimentView, path: str, mend: str) -> Results:
    content = view.snapshot.read(path)
    try:
        return Results.model_validate_json(content or b"")
    except ValidationError as error:
        raise CkgitError(
            f"the results cannot be read ({error.errors()[0]['msg']})",
            code=Exit.EVIDENCE_MISSING,
            where=f"exp/{view.name}:{path}",
            next=mend or f"git log -p exp/{view.name} -- {path} shows which commit broke it; revert that one",
        ) from None


def document(found: ExperimentDetails) -> ShowDocument:
    """An experiment, for `--json`; of its runs without what only some of their readers want."""
    design = found.view.context.summary.model_dump(mode="json", exclude={"state"}, exclude_defaults=True)
    runs = tuple(ShownRun(**_run(found, run), results=_short(found.result(run.name))) for run in found.runs)
    return ShowDocument(**_common(found), design=design, runs=runs)


def run_document(found: ExperimentDetails, now: SoFar) -> ShowRunDocument:
    """One run, for `--json`, with what there is of it now."""
    (run,) = found.runs
    one = DetailedRun(
        **_run(found, run),
        results=found.result(run.name),
        parameters={name: ShownParameter(**each) for name, each in settings.parameters(found.view, run).items()},
        cells=tuple(_shown_cell(each) for each in cells(found, run)),
        origin=_shown_origin(origin(found.view, run.name)),
        weights=tuple(ShownWeights(checkpoint=each.name, path=str(each.path), there=each.there) for each in now.weights),
        ended=tuple(map(_shown_ending, now.ended)),
        examples=tuple(ShownRow(**row._asdict()) for row in now.examples),
    )
    return ShowRunDocument(**_common(found), runs=(one,))


def _common(found: ExperimentDetails) -> dict[str, Any]:
    view = found.view
    return {
        "experiment": view.name,
        "lifecycle_state": view.snapshot.state,
        "commit": view.snapshot.tip,
        "time": utc(view.snapshot.time),
        "design_hash": view.context.summary.digest,
        "closed": Closed.of(found.closing),
        "kept": view.snapshot.kept,
        "report": found.report,
        "attempts": tuple(found.attempts),
        "left_to": LeftToJob.of(found.view.ledger),
        "ahead": tuple(found.ahead),
        "edited": tuple(EditedFile(**edit._asdict()) for edit in found.edited),
        "reproductions": tuple(found.reproductions),
        "accounting": found.accounting,
        "claims": found.results.claims if found.results else (),
    }


def _run(found: ExperimentDetails, run: Run) -> dict[str, Any]:
    jobs = tuple(_job(rows) for rows in _jobs(found, run))
    return {"run": run.name, "type": run.type, "model": run.model, "varied": run.varied, "jobs": jobs}


def _short(result: RunRow | None) -> RunRow | None:
    """Results without what grows with steps and rows."""
    if not result:
        return None
    training = result.training and _short_training(result.training)
    return result.model_copy(update={"training": training, "cells": tuple(map(_short_cell, result.cells))})


def _short_training(training: TrainingResult) -> TrainingResult:
    return training.model_copy(update={"losses": (), "checkpoints": (), "tokens": {}})


def _short_cell(cell: CellResult) -> CellResult:
    return cell.model_copy(update={"samples": (), "texts": ()})


def _shown_ending(ended: EndedSince) -> ShownEnding:
    trained = next((result for result in ended.results if isinstance(result, TrainingResult)), None)
    found = tuple(_short_cell(result) for result in ended.results if isinstance(result, CellResult))
    return ShownEnding(job=ended.job, training=trained and _short_training(trained), cells=found, problems=tuple(ended.problems))


def _shown_origin(found: TrainingOrigin | None) -> ShownOrigin | None:
    return found and ShownOrigin(kept=found.kept, like=found.like and found.like.in_words, differs=dict(found.differs))


def _shown_cell(told: Mapping[str, Any]) -> ShownCell:
    return ShownCell.model_validate_json(json.dumps(told))


def _jobs(found: ExperimentDetails, run: Run) -> Iterable[Sequence[JobRow]]:
    """The rows of each job of a run; several cells may share one."""
    jobs: dict[str, list[JobRow]] = {}
    for row in found.jobs:
        if row.run == run.name:
            jobs.setdefault(row.job, []).append(row)
    return jobs.values()


def _job(rows: Sequence[JobRow]) -> ShownJob:
    """A job in the state of what is not done of it; where its cells were judged one by one, with why each does not count."""
    row = next((row for row in rows if not row.counts), rows[0])
    judged = {each.cell or "": each.why for each in rows if each.why is not None}
    return ShownJob(job=row.job, stage=row.stage, condition=row.condition, cells=judged)


def cells(found: ExperimentDetails, run: Run) -> Sequence[Mapping[str, Any]]:
    """A run's evaluations, each with what it sends and how answers are made and scored."""
    return [settings.cell(found.view, run, cell) for cell in found.view.context.plan.cells_of(run.name)]
