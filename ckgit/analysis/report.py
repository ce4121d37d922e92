"""`analysis/report.md`: the results as Markdown. Pure: the same results give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from ckgit.analysis.accounting import accounting_section
from ckgit.analysis.provenance import failures_section, provenance_section, tokens_section
from ckgit.analysis.score_text import LEGEND, OVER_ROWS, compared, difference, judged, rows, score, stated
from ckgit.analysis.scores import ScoredCount
from ckgit.experiment.jobs import Ledger
from ckgit.experiment.results import CellResult, Judgement, Results, RunRow, Verdict, place_of_checkpoint
from ckgit.experiment.worker import Context
from ckgit.formats.markdown import NOTHING, number, table
from ckgit.formats.numbers import duration

LOSS_PLOT, SCORES_PLOT = "loss.svg", "scores.svg"


def render(
    context: Context, ledger: Ledger | None, results: Results, plots: Sequence[str], own: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """The report.

    Args:
        plots: names of the pictures that lie beside it.
        own: what the preparation tool says of runs in its own terms, as Markdown by name of the run.
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
        *(f"### {run}: {context.summary.tools.preparation}\n\n{text}" for run, text in own.items()),
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
    header = ["verdict", "claim", "left", "right", f"difference {OVER_ROWS}", "rows", "why"]
    lines = ["## Claims", table(header, map(_claim_row, verdicts))]
    counts = ", ".join(f"{count} {kind}" for kind in Judgement if (count := sum(v.judgement is kind for v in verdicts)))
    return "\n\n".join([*lines, f"{counts}. The difference is left minus right; “How the numbers are made” has the rule.", LEGEND])


def _claim_row(verdict: Verdict) -> list[str]:
    sides = [
        _side(verdict.left, place_of_checkpoint(verdict.left_epoch, verdict.left_checkpoint), verdict.left_scored, verdict.left_asked),
        _side(verdict.right, place_of_checkpoint(verdict.right_epoch, verdict.right_checkpoint), verdict.right_scored, verdict.right_asked),
    ]
    return [judged(verdict), stated(verdict.claim), *sides, difference(verdict), compared(verdict), verdict.reason]


def _side(value: float | None, place: str, scored: int | None, asked: int | None) -> str:
    text = number(value) + (f" ({place})" if place else "")
    return text if scored is None or asked is None or scored >= asked else f"{text} ({ScoredCount(scored, asked)})"


def _runs_section(runs: Sequence[RunRow], plots: Sequence[str]) -> str:
    varied = list(dict.fromkeys(name for run in runs for name in run.varied))
    validated = any(run.training and run.training.validation for run in runs)
    header = ["run", "type", *varied, "steps", "final loss", *(["validation loss"] if validated else []), "duration", "missing"]
    parts = ["## Runs", table(header, (_run_row(run, varied, validated=validated) for run in runs))]
    parts += [f"![Training loss by step, for each run]({LOSS_PLOT})"] if LOSS_PLOT in plots else []
    return "\n\n".join(parts)


def _run_row(run: RunRow, varied: Sequence[str], *, validated: bool) -> list[str]:
    trained = run.training
    held_out = [number(trained.validation[-1].loss) if trained and trained.validation else NOTHING] if validated else []
    steps, loss, took = (f"{trained.steps:,}", number(trained.final_loss), duration(trained.seconds)) if trained else [NOTHING] * 3
    return [
        run.name,
        run.type,
        *(run.varied.get(name, NOTHING) for name in varied),
        *(steps, loss, *held_out, took),
        str(len(run.missing)) if run.missing else NOTHING,
    ]


def _task_sections(runs: Sequence[RunRow], plots: Sequence[str]) -> Iterator[str]:
    tasks = list(dict.fromkeys(cell.task for run in runs for cell in run.cells))
    if tasks and SCORES_PLOT in plots:
        yield f"## Scores\n\n![Scores by run, with 95 % intervals over rows]({SCORES_PLOT})\n\n{LEGEND}"
    for task in tasks:
        listed = [row for run in runs for cell in run.cells if cell.task == task for row in _metric_rows(cell)]
        yield f"### {task}\n\n" + table(["run", "epoch", "scorer", "metric", f"value {OVER_ROWS}", "rows", "duration"], listed)


def _metric_rows(cell: CellResult) -> list[list[str]]:
    epoch = (cell.checkpoint or NOTHING) if cell.epoch is None else str(cell.epoch)
    listed = [[cell.run, epoch, m.scorer, m.name, score(cell, m), rows(cell, m), duration(cell.seconds)] for m in cell.metrics]
    return listed or [[cell.run, epoch, NOTHING, NOTHING, NOTHING, f"{len(cell.samples):,}", duration(cell.seconds)]]


_TRAINING_NOTE = "Final loss: the training loss of the last logged step, of one batch. Duration: from a job's start to its end."
_SCORE_NOTES = """\
- What an interval is about: this model (or these two), on rows like those that were answered. Each run was trained once, with
  one seed; variance between training seeds is in no interval, so no verdict generalizes to a setting.
- A row that was answered several times counts once, by its mean. One run, each score 0 or 1: Wilson's score interval (Wilson 1927,
  J. Am. Stat. Assoc. 22:209). One run, other numbers: mean ± t·s/√n with n-1 degrees of freedom, cut to 0 and 1 where the score cannot
  lie outside; scores between 0 and 1 that are all the same: Wilson's, which is then too wide rather than too narrow.
- Left minus right over the same rows (of the same data, with the same ids and targets), each score 0 or 1: p-q ± 1.96·√((p+q-(p-q)²)/(n+2))
  with p=(b+1)/(n+2), q=(c+1)/(n+2), where b and c rows are right on the left only and on the right only (Bonett and Price 2012,
  J. Educ. Behav. Stat. 37:479). Other numbers: the t interval of the differences by row.
- Left minus right over different rows, each score 0 or 1: from both Wilson intervals (Newcombe 1998, Stat. Med. 17:873, method 10).
  Other numbers: Welch's t interval (Welch 1947, Biometrika 34:28).
- A metric that is not a mean of its rows' scores: value ± 1.96 standard errors, where the evaluator gives one. A number without
  brackets has no interval that would hold; an interval without width is never given.
- Missing scores: a number is made of the rows that have a score, and “2 of 8 scored” beside it says how many were asked. Its interval
  takes the missing ones at worst and at best, and has the outer ends of both (Horowitz and Manski 2000, J. Am. Stat. Assoc. 95:77);
  so does that of a difference. Known to lie between 0 and 1 are an accuracy, inspect-ai's exact and f1, and scores that are all 0 or 1;
  where a score's scale is not known there is no interval, and a claim is undecided.
- Claims: supported where the whole interval lies beyond the claimed margin, not supported where all of it falls short, undecided
  otherwise, which does not mean that there is no difference. A claim about a metric or a result that is not there cannot be judged.
- `results.json` names the method of each interval."""


def _method_section(results: Results) -> str:
    lines = [f"- {_TRAINING_NOTE}"]
    lines += [_SCORE_NOTES] if any(run.cells for run in results.runs) else []
    lines += [f"- {remark}" for run in results.runs for remark in run.remarks]
    return "## How the numbers are made\n\n" + "\n".join(lines)
