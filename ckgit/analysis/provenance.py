"""The report's sections that say what the numbers come from: tools, models, data, tokens, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ckgit.analysis.versions import by_package
from ckgit.experiment.design.kept import KeptJob
from ckgit.experiment.jobs import Attempt, Ledger, Phase
from ckgit.experiment.results import CellResult, Results, RunRow, TokenCheck, place_of_checkpoint
from ckgit.experiment.worker import Context
from ckgit.formats.listing import in_words
from ckgit.formats.markdown import NOTHING, table

_SHORT = 12  # digits of a digest


def failures_section(results: Results, ledger: Ledger | None) -> str:
    """Jobs that were accepted as missing, and attempts that failed or were cancelled before one succeeded."""
    missing = [f"- {text}" for run in results.runs for text in run.missing]
    failed = [attempt for attempt in (ledger.attempts if ledger else ()) if attempt.phase in (Phase.FAILED, Phase.CANCELLED)]
    parts = []
    if missing:
        parts.append("Accepted as missing; no number below or above is from these:\n\n" + "\n".join(missing))
    if failed:
        parts.append("Attempts that failed or were cancelled:\n\n" + table(["job", "attempt", "kind", "reason"], map(_attempt_row, failed)))
    changed = [attempt for attempt in (ledger.attempts if ledger else ()) if attempt.changed and attempt.phase is Phase.DONE]
    if changed:
        lines = "\n".join(f"- {attempt.job}, attempt {attempt.number}: {attempt.changed}" for attempt in changed)
        parts.append(f"What `ckgit retry` changed of those that succeeded; each optimizer step saw the rows that were designed:\n\n{lines}")
    return "\n\n".join(["## What failed", *parts]) if parts else ""


def kept_section(ledger: Ledger | None, kept: Mapping[str, KeptJob]) -> str:
    """Results that were taken over, and what they are from."""
    done = [attempt for attempt in (ledger.attempts if ledger else ()) if attempt.kept and attempt.phase is Phase.DONE]
    if not done:
        return ""
    header = ["job", "run for", "design", "attempt", "commit", "SHA-256 of what it was made from"]
    rows = [[each.job, *_kept_row(kept[each.job])] for each in done if each.job in kept]
    text = "These were not made again: what they would be made from now is, value by value, what they were made from."
    return f"## What was kept\n\n{text}\n\n{table(header, rows)}"


def _kept_row(job: KeptJob) -> list[str]:
    digests = [f"`{digest}`" for digest in (job.commit[:_SHORT], job.made_from_sha256)]
    return [f"{job.experiment}: {job.job}", f"`{job.design[:_SHORT]}`", f"`{job.token}`", *digests]


def _attempt_row(attempt: Attempt) -> list[str]:
    return [attempt.job, str(attempt.number), attempt.failure or attempt.phase, attempt.reason or NOTHING]


def tokens_section(results: Results) -> str:
    """Whether evaluation sent what training saw."""
    rows = [_token_row(run, cell) for run in results.runs for cell in run.cells]
    if not rows:
        return ""
    header = ["run", "evaluation", "rows", "prefixes", "template", "end of turn", "training"]
    text = "Prefixes is the digest of the token prefixes that the model was sent, row by row; training's are those of the same rows."
    return f"## Same tokens\n\n{table(header, rows)}\n\n{text}"


def _token_row(run: RunRow, cell: CellResult) -> list[str]:
    place = [cell.run, f"{cell.task} {place_of_checkpoint(cell.epoch, cell.checkpoint)}".rstrip()]
    check = cell.tokens
    if not check:
        return [*place, *[NOTHING] * 4, "not checked"]
    template = check.template_sha256[:_SHORT] if check.template_sha256 else "none"
    end = NOTHING if check.end_of_turn is None else str(check.end_of_turn)
    dated = f"{template} on {check.template_date}" if check.template_date else template
    return [*place, f"{check.rows:,}", check.sha256[:_SHORT], dated, end, _compared(run, cell.task, check)]


def _compared(run: RunRow, task: str, check: TokenCheck) -> str:
    if not run.training:
        return "not trained here"
    seen = run.training.tokens.get(task)
    if not seen:
        return "recorded nothing for this task"
    return "the same" if seen.rows == check.rows else f"the same for the first {seen.rows:,} rows"


def provenance_section(context: Context, ledger: Ledger | None, results: Results) -> str:
    """Tools, models and data, each with its version or digest."""
    tables = [_tools_table(context, results.runs), _models_table(context), _data_table(context)]
    parts = ["## What ran", _jobs_line(ledger), _made_with(results), *tables]
    return "\n\n".join(part for part in parts if part)


def _made_with(results: Results) -> str:
    versions = [f"{name} {version}" for name, version in results.made_with.items()]
    return f"This report was made with {in_words(versions)}." if versions else ""


def _jobs_line(ledger: Ledger | None) -> str:
    if not ledger or not ledger.attempts:
        return "No job ran."
    hosts = sorted({attempt.host for attempt in ledger.attempts if attempt.host})
    where = f" on {', '.join(hosts)}" if hosts else ""
    commit = f", from the files of commit `{ledger.commit[:_SHORT]}`" if ledger.commit else ""
    own = [attempt for attempt in ledger.attempts if not attempt.kept]
    if not own:
        return "No job ran for this design: all that it has was kept."
    done = sum(attempt.phase is Phase.DONE for attempt in own)
    return f"{done} jobs of {len(own)} attempts, by scheduler {ledger.scheduler} of cluster {ledger.cluster}{where}{commit}."


def _tools_table(context: Context, runs: Sequence[RunRow]) -> str:
    tools = context.summary.tools
    rows = [[name, *(said.get(stage, "") for stage in ("training", "evaluation"))] for name, said in by_package(runs).items()]
    text = f"Training: {tools.preparation}. Evaluation: {tools.evaluation}."
    return f"{text}\n\n" + table(["package", "training", "evaluation"], rows) if rows else text


def _models_table(context: Context) -> str:
    recorded = context.summary.recorded.models
    rows = [
        [name, card.family, f"{card.parameters:,}", card.dtype, f"`{recorded[name]}`" if name in recorded else NOTHING]
        for name, card in context.cards.items()
    ]
    lines = [f"- {name}: {card.trained.in_words} (`{card.trained.token}`)" for name, card in context.cards.items() if card.trained]
    trained = "\n\nModels that this lab trained:\n\n" + "\n".join(lines) if lines else ""
    return table(["model", "family", "weights", "stored as", "SHA-256 of its card"], rows) + trained


def _data_table(context: Context) -> str:
    data = context.summary.data
    rows = [
        [name, data[name].named, ", ".join(f"{split} {rows:,}" for split, rows in one.splits.items()), f"{one.bytes:,}", f"`{one.sha256}`"]
        for name, one in context.summary.recorded.data.items()
        if name in data
    ]
    return table(["data", "file", "rows", "bytes", "SHA-256"], rows) if rows else ""
