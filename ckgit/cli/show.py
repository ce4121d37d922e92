"""`ckgit show`: an experiment, or one of its runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from ckgit.analysis.accounting import ATTEMPTS_HEADER, ESTIMATE_HEADER, TOTALS_HEADER, attempt_rows, estimate_rows, totals_rows
from ckgit.analysis.score_text import LEGEND, OF_CLAIMS, OVER_ROWS, compared, difference, judged, score, stated
from ckgit.cli.completion import runs
from ckgit.cli.output.others import others, over
from ckgit.cli.output.tables import printable, table, wrapped
from ckgit.cli.shared.common import emit, experiment_name, json_option, lab_from, name_argument
from ckgit.experiment.claims.verdicts import Verdict
from ckgit.experiment.design.plan import Run
from ckgit.experiment.jobs import Attempt
from ckgit.experiment.results import CellResult, Metric, RunRow, place_of_checkpoint
from ckgit.formats.markdown import number
from ckgit.formats.numbers import duration
from ckgit.formats.times import local_text
from ckgit.lab.history.hand_edits import edit_lines
from ckgit.orchestrators.design.reuse import origin
from ckgit.orchestrators.engine.experiment import open_experiment
from ckgit.orchestrators.queries.settings import parameters
from ckgit.orchestrators.queries.show import ExperimentDetails, cells, describe, document, run_document
from ckgit.orchestrators.queries.so_far import AnsweredRow, EndedSince, SoFar, so_far
from ckgit.orchestrators.run.collect import gist

_HANG = len("hypothesis:  ")
_THERE = {True: "", False: " (not on this machine now)", None: " (it cannot be seen whether it is there)"}
_TEXT = 60  # characters of a row or an answer


@click.command("show")
@name_argument
@click.argument("run", required=False, shell_complete=runs)
@json_option
@click.pass_context
def command(ctx: click.Context, *, name: str | None, run: str | None, as_json: bool) -> None:
    """Show an experiment's design, runs and results, or one run.

    Of a RUN: every parameter with where its value came from, its evaluations, its attempts, its results and some of its answers, where its
    weights are, and what jobs left that ended since the last commit.
    """
    lab = lab_from(ctx)
    found = describe(open_experiment(lab, experiment_name(lab, name), kept=True), run)
    now = so_far(found.view, found.runs[0].name, found.results) if run else None
    sections = _run_sections(found, found.runs[0], now) if now else _experiment_sections(found)
    text = "\n\n".join([*sections, *_run_again(found), *others(found.view.ledger, found.ahead), *_edited(found)])
    emit(lambda: run_document(found, now) if now else document(found), as_json, text)


def _run_again(found: ExperimentDetails) -> Iterator[str]:
    """What `ckgit reproduce` has noted."""
    if found.reproductions:
        yield "\n".join(["run again:", *(f"  {printable(each.in_words)}" for each in found.reproductions)])


def _edited(found: ExperimentDetails) -> Iterator[str]:
    """What was shown, or stands behind it, and is not ckgit's any more."""
    if found.edited:
        yield "\n".join(["not as ckgit wrote them:", *(f"  {printable(line)}" for line in edit_lines(found.edited))])


def _experiment_sections(found: ExperimentDetails) -> Iterator[str]:
    view = found.view
    about, tools = view.context.summary.experiment, view.context.summary.tools
    head = [f"{about.name}: {view.snapshot.state}", wrapped(f"question:    {printable(about.question)}", _HANG)]
    head += [wrapped(f"hypothesis:  {printable(about.hypothesis)}", _HANG)] if about.hypothesis else []
    head += over(found.closing, view.snapshot.kept)
    head += [f"tools:       {tools.preparation} for preparation, {tools.evaluation} for evaluation"]
    head += [f"models:      {', '.join(view.context.summary.models)}"]
    head += [f"data:        {name} ({data.named})" for name, data in view.context.summary.data.items()]
    yield "\n".join(head)
    varied = list(dict.fromkeys(name for run in found.runs for name in run.varied))
    header = ["run", "type", *varied, "jobs done", "final loss", f"scores {OVER_ROWS}"]
    yield table(header, (_run_row(found, run, varied) for run in found.runs))
    early = [(run.name, run.training.ended) for run in (found.results.runs if found.results else ()) if run.training]
    if told := [wrapped(f"{name} stopped early: {printable(why)}", 2) for name, why in early if why]:
        yield "\n".join(told)
    if found.results and found.results.claims:
        yield table(["verdict", "claim", OF_CLAIMS, "rows", "why"], map(_claim_row, found.results.claims))
    if found.results:
        yield wrapped(LEGEND)
    if found.accounting.attempts:
        yield table(TOTALS_HEADER, totals_rows(found.accounting))
    yield from _estimate(found)
    if found.report:
        yield f"report: git show {view.snapshot.revision}:{found.report}"


def _run_row(found: ExperimentDetails, run: Run, varied: list[str]) -> list[str]:
    rows = [row for row in found.jobs if row.run == run.name]
    jobs, failed = {row.job for row in rows}, {row.job for row in rows if not row.counts}
    done = f"{len(jobs) - len(failed)} of {len(jobs)}"
    if any(row.why is not None for row in rows):
        cells = [row for row in rows if row.cell]
        done += f", {sum(row.counts for row in cells)} of {len(cells)} cells"
    result = found.result(run.name)
    loss = number(result.training.final_loss) if result and result.training else ""
    return [run.name, run.type, *(run.varied.get(name, "") for name in varied), done, loss, ", ".join(_scores(result))]


def _claim_row(verdict: Verdict) -> list[str]:
    return [judged(verdict), stated(verdict.claim), difference(verdict), compared(verdict), verdict.reason]


def _scores(result: RunRow | None) -> list[str]:
    found = result.cells if result else ()
    return [f"{_cell_name(cell)} {_metric_name(m, cell)} {score(cell, m)}" for cell in found for m in cell.metrics]


def _metric_name(metric: Metric, cell: CellResult) -> str:
    """With its scorer where the task has several, which may give metrics of one name."""
    return f"{metric.name} ({metric.scorer})" if len({each.scorer for each in cell.metrics}) > 1 else metric.name


def _cell_name(cell: CellResult) -> str:
    return f"{cell.task} {place_of_checkpoint(cell.epoch, cell.checkpoint)}".rstrip()


def _run_sections(found: ExperimentDetails, run: Run, now: SoFar) -> Iterator[str]:
    yield f"{found.view.name} {run.name}: {run.type}, model {run.model}"
    used = parameters(found.view, run)
    yield table(["parameter", "value", "from"], ([name, _value(each["value"]), each["source"]] for name, each in used.items()))
    if planned := cells(found, run):
        header = ["evaluation", "split", "prompt", "system prompt", "generation", "scorers"]
        yield table(header, (_cell_row(cell) for cell in planned))
    if found.attempts:
        yield table(["job", "attempt", "phase", "started", "ended", "changed", "log or reason"], map(_attempt_row, found.attempts))
    if found.accounting.attempts:
        yield table(ATTEMPTS_HEADER, attempt_rows(found.accounting))
    yield from _estimate(found)
    if result := found.result(run.name):
        yield "\n".join(_result_lines(result))
    if told := origin(found.view, run.name):
        yield from (wrapped(f"training:  {printable(line)}", 11) for line in told.lines())
    yield from _now(now)


def _now(now: SoFar) -> Iterator[str]:
    """What its jobs left that ended since, a few answers, and where its weights are."""
    if now.ended:
        lines = (f"  {each.job}: {printable('; '.join([*_gists(each), *each.problems]))}" for each in now.ended)
        yield "\n".join(["ended, and not committed yet; it counts when all of its stage is judged:", *lines])
    if now.examples:
        yield table(["answers", "row", "why", "asked", "expected", "answered", "score"], map(_example, now.examples), less=["why"])
    if now.weights:
        lines = (f"  {each.name}: {printable(str(each.path))}{_THERE[each.there]}" for each in now.weights)
        yield "\n".join(["weights:", *lines])


def _gists(ended: EndedSince) -> list[str]:
    return [gist(ended.results)] if ended.results else []


def _example(row: AnsweredRow) -> list[str]:
    texts = [" ".join(text.split()) for text in (row.input, row.target or "", row.output)]
    asked, expected, answered = (text if len(text) <= _TEXT else f"{text[:_TEXT]}…" for text in texts)
    score = number(row.score) if isinstance(row.score, float) else json.dumps(row.score)
    return [row.task, str(row.id), row.kind or "", asked, expected, answered, score]


def _attempt_row(tried: Attempt) -> list[str]:
    times = [local_text(tried.started), local_text(tried.ended)]
    return [tried.job, str(tried.number), tried.phase, *times, tried.changed, tried.reason or tried.log or ""]


def _estimate(found: ExperimentDetails) -> Iterator[str]:
    """How far the estimate of the design was off, once a job is done."""
    if rows := estimate_rows(found.accounting):
        yield table(ESTIMATE_HEADER, rows)


def _value(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _cell_row(cell: Any) -> list[str]:
    settings = ", ".join(f"{name} {_value(value)}" for name, value in cell["generation"].items())
    names = ", ".join(scorer["name"] for scorer in cell["scorers"]) or "the task's own"
    return [cell["cell"], cell["split"], _value(cell["prompt"]), _value(cell["system_prompt"]), settings, names]


def _result_lines(result: RunRow) -> Iterator[str]:
    if trained := result.training:
        loss = f", final loss {number(trained.final_loss)}" if trained.final_loss is not None else ""
        steps = f"{trained.steps} of {trained.planned_steps}" if trained.planned_steps else str(trained.steps)
        yield f"trained: {steps} steps{loss}, {duration(trained.seconds)}"
        yield from [wrapped(f"stopped early: {printable(trained.ended)}")] if trained.ended else []
    for cell in result.cells:
        for metric in cell.metrics:
            yield f"{_cell_name(cell)}: {metric.name} ({metric.scorer}) {score(cell, metric)}, {metric.samples} rows"
    yield from [wrapped(LEGEND)] if result.cells else []
    yield from (f"accepted as missing: {printable(text)}" for text in result.missing)
