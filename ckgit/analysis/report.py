"""`analysis/report.md`: the results as Markdown. Pure: the same results give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckgit.analysis.accounting import accounting_section
from ckgit.analysis.markdown import NOTHING, duration, number, table, with_error
from ckgit.analysis.provenance import failures_section, provenance_section, tokens_section
from ckgit.experiment.jobs import Ledger
from ckgit.experiment.results import CellResult, Judgement, Metric, Results, RunRow, Verdict
from ckgit.experiment.worker import Context

LOSS_PLOT, SCORES_PLOT = "loss.svg", "scores.svg"


def render(context: Context, ledger: Ledger | None, results: Results, plots: Sequence[str]) -> bytes:
    """The report.

    Args:
        plots: names of the pictures that lie beside it.
    """
    about = context.summary.experiment
    sections = [
        f"# {about.name}",
        f"Design `{results.design[:12]}` of {about.date}. Every number follows from logs that are committed on branch `exp/{about.name}`.",
        f"## Question\n\n{about.question}",
        f"## Hypothesis\n\n{about.hypothesis}" if about.hypothesis else "",
        f"## Purpose\n\n{about.purpose}" if about.purpose else "",
        _claims_section(results.claims),
        _runs_section(results.runs, plots),
        *_task_sections(results.runs, plots),
        failures_section(results, ledger),
        tokens_section(results),
        provenance_section(context, ledger, results),
        accounting_section(results.accounting),
        _method_section(results),
    ]
    return ("\n\n".join(section for section in sections if section) + "\n").encode()


def _claims_section(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return ""
    header = ["claim", "verdict", "left", "right", "difference", "95 % interval", "samples", "why"]
    lines = ["## Claims", table(header, map(_claim_row, verdicts))]
    tally = ", ".join(f"{count} {kind}" for kind in Judgement if (count := sum(v.judgement is kind for v in verdicts)))
    return "\n\n".join([*lines, f"{tally}. The difference is left minus right; “How the numbers are made” has the rule."])


def _claim_row(verdict: Verdict) -> list[str]:
    claim = verdict.claim
    margin = f" by at least {claim.by:g}" if claim.by else ""
    text = f"{claim.metric} on {claim.task}: {claim.left} {claim.direction} than {claim.right}{margin}"
    interval = f"{number(verdict.low)} to {number(verdict.high)}" if verdict.low is not None else NOTHING
    samples = f"{verdict.samples}{' paired' if verdict.paired else ''}" if verdict.samples is not None else NOTHING
    difference = NOTHING if verdict.difference is None else with_error(verdict.difference, verdict.stderr)
    sides = [_side(verdict.left, verdict.left_epoch), _side(verdict.right, verdict.right_epoch)]
    return [text, verdict.judgement, *sides, difference, interval, samples, verdict.reason]


def _side(value: float | None, epoch: int | None) -> str:
    return number(value) + (f" (epoch {epoch})" if epoch is not None else "")


def _runs_section(runs: Sequence[RunRow], plots: Sequence[str]) -> str:
    varied = list(dict.fromkeys(name for run in runs for name in run.varied))
    header = ["run", "type", *varied, "steps", "final loss", "duration", "missing"]
    parts = ["## Runs", table(header, (_run_row(run, varied) for run in runs))]
    parts += [f"![Training loss by step, for each run]({LOSS_PLOT})"] if LOSS_PLOT in plots else []
    return "\n\n".join(parts)


def _run_row(run: RunRow, varied: Sequence[str]) -> list[str]:
    trained = run.training
    measured = [f"{trained.steps:,}", number(trained.final_loss), duration(trained.seconds)] if trained else [NOTHING] * 3
    return [
        run.name,
        run.type,
        *(run.varied.get(name, NOTHING) for name in varied),
        *measured,
        str(len(run.missing)) if run.missing else NOTHING,
    ]


def _task_sections(runs: Sequence[RunRow], plots: Sequence[str]) -> Iterator[str]:
    tasks = list(dict.fromkeys(cell.task for run in runs for cell in run.cells))
    if tasks and SCORES_PLOT in plots:
        yield f"## Scores\n\n![Scores by run, with 95 % intervals]({SCORES_PLOT})"
    for task in tasks:
        rows = [row for run in runs for cell in run.cells if cell.task == task for row in _metric_rows(cell)]
        yield f"### {task}\n\n" + table(["run", "epoch", "scorer", "metric", "value ± standard error", "samples", "duration"], rows)


def _metric_rows(cell: CellResult) -> list[list[str]]:
    epoch = NOTHING if cell.epoch is None else str(cell.epoch)
    rows = [[cell.run, epoch, m.scorer, m.name, _value(m), f"{m.samples:,}", duration(cell.seconds)] for m in cell.metrics]
    return rows or [[cell.run, epoch, NOTHING, NOTHING, NOTHING, f"{len(cell.samples):,}", duration(cell.seconds)]]


def _value(metric: Metric) -> str:
    return with_error(metric.value, metric.stderr) + (" *" if metric.stderr_from == "samples" else "")


_TRAINING_NOTE = "Final loss: the training loss of the last logged step, of one batch. Duration: from a job's start to its end."
_SCORE_NOTES = """\
- A standard error is the evaluator's own. One that is marked * was computed here: the metric is the mean of the samples' scores,
  and its standard error is s/√n (s the sample standard deviation with divisor n-1, n the number of sample ids; an id that was
  answered several times counts once, by its mean). A metric without one has no ±.
- 95 % intervals: value ± 1.96 standard errors, by the central limit theorem; with few samples they are too narrow. Where all
  samples score alike the standard error is 0, which is no measure of what further samples would show.
- Claims: when both runs answered the same samples (of the same data, with the same ids and targets) and the metric is the mean of
  their scores, the difference is paired, and its standard error is that of the mean of the differences by id. Otherwise it is
  √(SE² + SE²) of the two. Supported: the whole interval lies beyond the claimed margin. Not supported: all of it falls short.
  Undecided: neither.
- Source: E. Miller, "Adding Error Bars to Evals", arXiv:2411.00640 (2024), sections 2 to 4."""


def _method_section(results: Results) -> str:
    lines = [f"- {_TRAINING_NOTE}"]
    lines += [_SCORE_NOTES] if any(run.cells for run in results.runs) else []
    lines += [f"- {remark}" for run in results.runs for remark in run.remarks]
    return "## How the numbers are made\n\n" + "\n".join(lines)
