"""A review: what a design would cost and show, or what its results say, and whether what is recorded holds."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ckgit.analysis.report import LOSS_PLOT, SCORES_PLOT
from ckgit.errors import CkgitError, DesignError, Exit
from ckgit.experiment.accounting import Accounting
from ckgit.experiment.cluster import LabConfig
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.design.model import Stage, Summary
from ckgit.experiment.design.plan import Run, resources
from ckgit.experiment.jobs import Attempt, Phase
from ckgit.experiment.outputs.review.reviewed import Budget, ExpectedCost, ReviewedExperiment, ReviewedRun, ReviewSubject
from ckgit.experiment.state import State
from ckgit.lab.branches import last_recorded
from ckgit.lab.context import load_context
from ckgit.lab.git.objects import read_object, read_objects
from ckgit.lab.history.closings import closing_of
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.take import snapshot_at
from ckgit.lab.summary.file import FILE, SummaryFile
from ckgit.orchestrators.design.check import CheckedDesign, check
from ckgit.orchestrators.design.forecast import Forecast, RunForecast
from ckgit.orchestrators.design.inputs.source_commit import SourceCommit
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.queries.show import describe
from ckgit.orchestrators.review.named import History
from ckgit.orchestrators.review.reviews import likeness, weaknesses
from ckgit.orchestrators.review.reviews.others import MONTH, Others, read_others
from ckgit.orchestrators.review.verify.verify import verify


def review(lab: Lab, subject: History, approvals: Sequence[tuple[str, str]], now: datetime.datetime) -> ReviewedExperiment:
    """What a colleague would say of an experiment, up to a commit. Nothing of it is executed, and nothing is written.

    Args:
        approvals: who has approved, and which commit.
        now: the end of the month that a person's budget is for.

    Raises:
        CkgitError: TOOL_MISSING, what reads logs or draws is not installed.
    """
    name, commit = subject.experiment, subject.commit
    findings = verify(lab, subject).findings
    known = ReviewedExperiment(experiment=name, commit=commit, subject=ReviewSubject.DESIGN, findings=findings)
    file = f"experiments/{name}/{FILE}"
    try:
        content = read_object(lab.root, f"{commit}:{file}")
        if content is None:
            return known.model_copy(update={"problems": (f"{file} is not there",)})
        summary = SummaryFile.parse(content, file)
        view = _view(lab, subject)
        known = known.model_copy(update=_standing(summary.summary, view))
        if known.subject is not ReviewSubject.DESIGN and view:
            return known.model_copy(update=_results(view))
        return known.model_copy(update=_design(lab, known, summary, approvals, now))
    except DesignError as error:
        return known.model_copy(update={"problems": tuple(problem.at(file) for problem in error.problems)})
    except CkgitError as error:
        if error.code is Exit.TOOL_MISSING:
            raise
        return known.model_copy(update={"problems": (f"{error.where}: {error.what}" if error.where else error.what,)})


def _view(lab: Lab, subject: History) -> ExperimentView | None:
    """The experiment as its last step left it; None where ckgit made none yet."""
    at, recorded = last_recorded(lab.root, subject.experiment, subject.commit)
    if not recorded:
        return None
    snapshot = snapshot_at(lab, subject.experiment, subject.commit, recorded, at)
    ledger = snapshot.any_ledger()
    return ExperimentView(lab, snapshot, load_context(lab, snapshot, ledger), ledger)


def _standing(summary: Summary, view: ExperimentView | None) -> dict[str, Any]:
    """What a review begins with, and what it is of."""
    about, state = summary.experiment, view.snapshot.state if view else summary.state
    closing = closing_of(view.snapshot) if view else None
    subject = ReviewSubject.JOBS if view and view.attempts else ReviewSubject.DESIGN
    return {
        "question": about.question,
        "hypothesis": about.hypothesis,
        "design_hash": summary.digest,
        "lifecycle_state": state,
        "closed": closing.because if closing else "",
        "subject": ReviewSubject.RESULTS if state is State.ANALYZED else subject,
    }


def _design(
    lab: Lab, known: ReviewedExperiment, file: SummaryFile, approvals: Sequence[tuple[str, str]], now: datetime.datetime
) -> dict[str, Any]:
    checked = check(SourceCommit(lab, known.commit, f"exp/{known.experiment}"), file, learn=True)
    summary, others = file.summary, read_others(lab, known.experiment, known.commit)
    cost = _cost(lab, summary, checked.forecast, others) if checked.forecast else None
    runs = checked.forecast.runs if checked.forecast else ()
    plan = build_plan(summary)
    unread = [f"experiments that cannot be read, so likeness is not known: {', '.join(others.unread)}"] if others.unread else []
    return {
        "runs": tuple(_run(lab, summary, one) for one in runs),
        "cost": cost,
        "budgets": tuple(_budgets(lab.config, known.experiment, cost, others, now)) if cost else (),
        "approved_by": _approvers(lab.config, known.commit, approvals),
        "like": likeness.like(summary, others.experiments),
        "duplicates": tuple(likeness.duplicates(summary, others.experiments)),
        "remarks": (*checked.warnings, *weaknesses.weaknesses(summary, plan, runs)),
        "unchecked": (*checked.unchecked, *_unbudgeted(lab.config, checked), *unread),
        "smallest": tuple(weaknesses.smallest(summary, plan)),
        "powers": tuple(checked.powers),
    }


def _approvers(config: LabConfig, commit: str, approvals: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Approvers of the lab who have approved this very commit; forges know a name whatever its case."""
    named = {each.casefold() for each in config.review.approvers}
    return tuple(dict.fromkeys(who for who, what in approvals if what == commit and who.casefold() in named))


def _unbudgeted(config: LabConfig, checked: CheckedDesign) -> list[str]:
    limited = config.review.gpu_hours is not None or config.review.gpu_hours_per_month is not None
    return ["its cost was not held against the budget of ckgit.toml"] if limited and not checked.forecast else []


def _cost(lab: Lab, summary: Summary, forecast: Forecast, others: Others) -> ExpectedCost:
    return ExpectedCost(
        seconds=forecast.seconds,
        gpu_hours=sum(_gpu_hours(lab, summary, one) for one in forecast.runs),
        disk_bytes=forecast.disk,
        queue_seconds=others.queue_seconds(forecast.estimate.cluster),
        sources=tuple(forecast.estimate.sources()),
    )


def _gpu_hours(lab: Lab, summary: Summary, one: RunForecast) -> float:
    cluster = lab.cluster(summary.compute.cluster)
    asked = ((one.training, Stage.TRAINING, cluster.training), (one.evaluation, Stage.EVALUATION, cluster.evaluation))
    return sum(guess.seconds / 3600 * _gpus(one.run, resources(summary, one.run, stage, own).gpus) for guess, stage, own in asked if guess)


def _gpus(run: Run, asked: int | None) -> int:
    """What a job holds: what it asks for, or the one that `device: cuda` takes."""
    return asked if asked is not None else int(run["device"] == "cuda")


def _run(lab: Lab, summary: Summary, one: RunForecast) -> ReviewedRun:
    run = one.run
    return ReviewedRun(
        run=run.name,
        type=run.type,
        varied=run.varied,
        model=run.model,
        data=run["data"] or "",
        steps=one.steps.total if one.steps else None,
        steps_about=bool(one.steps and one.steps.about),
        evaluations=tuple(cell.name for cell in one.cells),
        gpu_hours=_gpu_hours(lab, summary, one),
    )


def _budgets(config: LabConfig, name: str, cost: ExpectedCost, others: Others, now: datetime.datetime) -> Iterator[Budget]:
    limits = config.review
    if limits.gpu_hours is not None:
        before = others.gpu_hours_before(name)
        yield Budget(of="this experiment", limit=limits.gpu_hours, spent=before, expected=cost.gpu_hours)
    if limits.gpu_hours_per_month is not None:
        person = others.designed_by.get(name, "")
        spent = others.gpu_hours_of(person, now - MONTH)
        of = f"{person or 'whoever designed it'} in these {MONTH.days} days"
        yield Budget(of=of, limit=limits.gpu_hours_per_month, spent=spent, expected=cost.gpu_hours)


def _results(view: ExperimentView) -> dict[str, Any]:
    found = describe(view, None)
    rows = found.results.runs if found.results else ()
    return {
        "runs": tuple(ReviewedRun(run=run.name, type=run.type, varied=run.varied, model=run.model, gpu_hours=0.0) for run in found.runs),
        "claims": found.results.claims if found.results else (),
        "cells": tuple(cell.model_copy(update={"samples": ()}) for row in rows for cell in row.cells),
        "losses": {row.name: tuple(point.loss for point in row.training.losses) for row in rows if row.training and row.training.losses},
        "accounting": found.accounting,
        "failed": (*(_ended(each) for each in found.attempts if each.phase not in _FINE), *(why for row in rows for why in row.missing)),
        "remarks": (*_over_budget(view.lab.config, found.accounting), *dict.fromkeys(remark for row in rows for remark in row.remarks)),
    }


def _over_budget(config: LabConfig, accounting: Accounting) -> Iterator[str]:
    """What jobs took is told when it is over the budget, as somebody may have submitted them without CI."""
    total = next((costs.gpu_hours.value for costs in accounting.costs if costs.stage is None), None)
    limit = config.review.gpu_hours
    if limit is not None and total is not None and total > limit:
        yield f"it took {total:.4g} GPU-hours, and more than {limit:g} take an approver: whether one has approved it is not on record"


_PICTURES = {"Training loss by step, for each run": LOSS_PLOT, "Scores by run, with 95 % intervals over rows": SCORES_PLOT}


def pictures(lab: Lab, found: ReviewedExperiment) -> Mapping[str, bytes]:
    """The report's pictures as they were committed, by what they show; none where what is recorded does not hold."""
    if found.subject is not ReviewSubject.RESULTS or not found.holds:
        return {}
    names = [f"{found.commit}:experiments/{found.experiment}/analysis/{name}" for name in _PICTURES.values()]
    contents = zip(_PICTURES, read_objects(lab.root, names), strict=True)
    return {text: content for text, content in contents if content is not None}


_FINE = (Phase.SUBMITTED, Phase.DONE)


def _ended(attempt: Attempt) -> str:
    why = f": {attempt.reason}" if attempt.reason else ""
    return f"{attempt.job}, attempt {attempt.number}, {attempt.failure or attempt.phase}{why}"
