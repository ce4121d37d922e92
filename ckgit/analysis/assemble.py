"""From what the jobs left to the experiment's results. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ckgit.analysis.claims.judge import ClaimEvidence, judge
from ckgit.analysis.comparing.pairs import compare_pairs
from ckgit.analysis.comparing.scored import summaries
from ckgit.analysis.fairness import Facts, fairness
from ckgit.analysis.measures.grouped import grouped
from ckgit.analysis.measures.measure import measured
from ckgit.analysis.reading.rows import worth_reading
from ckgit.analysis.reading.typical import typical_answers
from ckgit.analysis.scores import means, with_intervals
from ckgit.analysis.versions import marked
from ckgit.experiment.accounting import Accounting
from ckgit.experiment.claims.settings import settings_of
from ckgit.experiment.design.model import DataSet, TaskSpec
from ckgit.experiment.design.plan import Run
from ckgit.experiment.jobs import Job
from ckgit.experiment.measured.compared import ScoredSplit
from ckgit.experiment.results import CellResult, Metric, Results, RunRow, TrainingResult
from ckgit.experiment.worker import Context

ResultsByJob = Mapping[str, Sequence[TrainingResult | CellResult]]  # by name of the job


def assemble(
    context: Context,
    jobs: Sequence[Job],
    results: ResultsByJob,
    missing: Mapping[str, Sequence[str]],
    accounting: Accounting,
    scored: Sequence[ScoredSplit] = (),
    facts: Facts = MappingProxyType({}),
) -> Results:
    """The results of an experiment.

    Args:
        jobs: all that the workers name, in the order in which the report lists them.
        results: what each finished job left.
        missing: why a job that was accepted as missing, or each cell of it that does not count, left nothing, by its name.
        accounting: what all of them took.
        scored: how much the lab has scored on the rows of each task, for which the best of several is corrected.
        facts: what its preparation tool says of each run that is trained, beyond its settings.

    Raises:
        ValueError: two jobs of a run contradict each other.
    """
    about = context.summary.experiment
    tasks = {task.name: task for task in context.summary.evaluation.tasks}
    runs = _with_intervals(_rows(context, jobs, results, missing), tasks)
    evidence = _evidence(context, runs, scored)
    pairs = compare_pairs(runs, evidence.data, evidence.clusters)
    fair = fairness(context, runs, facts)
    return Results(
        experiment=about.name,
        question=about.question,
        design=context.summary.digest,
        hypothesis=about.hypothesis,
        runs=runs,
        claims=tuple(marked(judge(claim, evidence), runs) for claim in about.claims),
        accounting=accounting,
        scored=tuple(scored),
        rows=worth_reading(runs),
        typical=typical_answers(runs),
        settings=tuple(summaries(runs, evidence.clusters)),
        comparisons=pairs.pairs,
        not_compared=pairs.not_made,
        fairness=fair.unequal,
        fairness_of=fair.looked_at,
        groups=tuple(found for task in tasks.values() for found in grouped(task, runs)),
    )


def _rows(context: Context, jobs: Sequence[Job], results: ResultsByJob, missing: Mapping[str, Sequence[str]]) -> list[RunRow]:
    """A row for each run, with the setting that it is of."""
    by_run: dict[str, list[Job]] = {}
    for job in jobs:
        by_run.setdefault(job.run, []).append(job)
    rows = [_row(run, by_run.get(run.name, []), results, missing) for run in context.plan.runs]
    settings = settings_of(context.plan.runs, context.summary.parameters)
    named = {run.name: each.name for each in settings for run in each.runs}
    again = {run.name for each in settings for run in each.again}
    return [row.model_copy(update={"setting": named[row.name], "again": row.name in again}) for row in rows]


def _evidence(context: Context, runs: Sequence[RunRow], scored: Sequence[ScoredSplit]) -> ClaimEvidence:
    tasks = context.summary.evaluation.tasks
    return ClaimEvidence(
        rows=runs,
        planned=context.plan.runs,
        parameters=context.summary.parameters,
        data={task.name: _evaluated_on(context, task.name) for task in tasks},
        clusters={task.name: task.clusters for task in tasks if task.clusters},
        scored=variants_of(scored),
    )


def variants_of(scored: Sequence[ScoredSplit]) -> dict[str, int]:
    """By task how many variants were scored: runs may each have other rows of it, and what is best is picked from all of them."""
    found: dict[str, int] = {}
    for each in scored:
        found[each.task] = found.get(each.task, 0) + each.variants
    return found


def _evaluated_on(context: Context, task: str) -> dict[str, DataSet]:
    """By name of the run. A run without a data set is left out: what its task brings with it is not known."""
    names = {cell.run: cell.task.data or context.plan.run(cell.run)["data"] for cell in context.plan.cells if cell.task.name == task}
    return {run: context.summary.data[name] for run, name in names.items() if name is not None}


def _row(run: Run, jobs: Sequence[Job], results: ResultsByJob, missing: Mapping[str, Sequence[str]]) -> RunRow:
    of_run = [result for job in jobs for result in results.get(job.name, ())]
    trained = next((result for result in of_run if isinstance(result, TrainingResult)), None)
    found = [result for result in of_run if isinstance(result, CellResult)]
    for cell in found:
        _refuse_other_tokens(trained, cell)
        _refuse_other_weights(trained, cell)
    return RunRow(
        name=run.name,
        type=run.type,
        varied=run.varied,
        training=trained,
        cells=tuple(_cell(cell) for cell in found),
        missing=tuple(f"{job.name}: {reason}" for job in jobs for reason in missing.get(job.name, ())),
        remarks=(*_interruptions(trained), *_untied(run.name, trained, found)),
    )


def _cell(cell: CellResult) -> CellResult:
    """The cell, in which a metric that is no number is undefined."""
    return cell.model_copy(update={"metrics": tuple(map(_defined, cell.metrics))})


def _defined(metric: Metric) -> Metric:
    if metric.value is not None and math.isfinite(metric.value):
        return metric
    return metric.model_copy(update={"value": None, "stderr": None, "stderr_from": None})


def _with_intervals(runs: Sequence[RunRow], tasks: Mapping[str, TaskSpec]) -> tuple[RunRow, ...]:
    """With the intervals of metrics, and the measures of answers."""
    by_task: dict[str, list[CellResult]] = {}
    for cell in (cell for run in runs for cell in run.cells):
        by_task.setdefault(cell.task, []).append(cell)
    known = {task: means(cells) for task, cells in by_task.items()}

    def whole(cell: CellResult) -> CellResult:
        clusters = tasks[cell.task].clusters
        return with_intervals(cell, known[cell.task], clusters).model_copy(update={"measures": measured(cell, clusters=clusters)})

    return tuple(run.model_copy(update={"cells": tuple(map(whole, run.cells))}) for run in runs)


def _interruptions(training: TrainingResult | None) -> list[str]:
    if not training:
        return []
    went_on = f"{training.run}: training was cut short and went on after"
    epochs = ", then ".join(map(str, training.resumed))
    steps = ", then ".join(map(str, training.resumed_steps))
    return [
        *([f"{went_on} {epochs} of its {len(training.checkpoints)} epochs"] if epochs else []),
        *([f"{went_on} step {steps} of its {training.steps} steps"] if steps else []),
    ]


def _untied(run: str, training: TrainingResult | None, cells: Sequence[CellResult]) -> list[str]:
    """Evaluations of which nobody wrote down what they evaluated, or what was to be evaluated: older jobs did not, nor do all tools."""
    tied = [cell for cell in cells if cell.weights and (_of_the_card(training, cell) or _saved_weights(training, cell))]
    source = "those that training saved" if training else "those of the model card"
    return [f"{run}: no recorded digest ties the evaluated weights to {source}"] if len(tied) < len(cells) else []


def _refuse_other_tokens(training: TrainingResult | None, cell: CellResult) -> None:
    """Training looked at the first rows of a long split only; over the same rows, the digests must be equal."""
    seen = training.tokens.get(cell.task) if training else None
    if seen and cell.tokens and seen.rows == cell.tokens.rows and seen.sha256 != cell.tokens.sha256:
        raise ValueError(
            f"{cell.log}: evaluation saw other tokens than training (prefixes {cell.tokens.sha256[:12]}, training {seen.sha256[:12]})"
        )


def _refuse_other_weights(training: TrainingResult | None, cell: CellResult) -> None:
    wanted = _saved_weights(training, cell)
    if wanted and cell.weights and wanted != cell.weights:
        place = f"epoch {cell.epoch}" if cell.epoch is not None else cell.checkpoint
        raise ValueError(
            f"{cell.log}: other weights were evaluated than training saved in {place} (digest {cell.weights[:12]}, training {wanted[:12]})"
        )


def _of_the_card(training: TrainingResult | None, cell: CellResult) -> bool:
    """Whether it evaluated the weights of the model card: of a run without a preparation, or with one that leaves prompts."""
    saved = training.saved(cell) if training else None
    return (cell.epoch is None and cell.checkpoint is None) or (saved is not None and saved.prompt is not None)


def _saved_weights(training: TrainingResult | None, cell: CellResult) -> str | None:
    saved = training.saved(cell) if training else None
    return saved.weights if saved else None
