"""The summary's blocks that say where the jobs stand. Pure functions of the design and the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ckgit.experiment.classify import JobCondition, classify, counted, newest
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, Ledger
from ckgit.experiment.worker import Context
from ckgit.formats.markdown import NOTHING, table

MOST_ROWS = 200  # a longer table lists only what is not done


class JobRow(NamedTuple):
    """One job of the design and where its latest attempt stands."""

    job: str
    stage: Stage
    run: str
    cell: str | None
    attempt: Attempt | None
    accepted_missing: bool
    why: str | None = None  # of a cell that was judged by itself: why it does not count; empty where it does

    @property
    def counts(self) -> bool:
        """Whether it is done, or is a cell that counts though its job failed."""
        return self.condition is JobCondition.DONE

    @property
    def condition(self) -> JobCondition:
        """Where it stands."""
        if self.attempt and self.why == "":
            return JobCondition.DONE
        return classify(self.attempt, accepted=self.accepted_missing)


def job_rows(context: Context, ledger: Ledger | None) -> list[JobRow]:
    """Every job that the design makes, in its order; one of several cells has a row for each."""
    latest = newest(ledger.attempts if ledger else ())
    accepted = frozenset(ledger.accepted_missing if ledger else ())
    failed = ledger.cells() if ledger else {}
    return [
        JobRow(job, stage, run, part, latest.get(job), job in accepted, failed.get(job, {}).get(part or ""))
        for job, stage, run, part in (*_training(context), *_evaluation(context))
    ]


def _training(context: Context) -> Iterator[tuple[str, Stage, str, str | None]]:
    for run in context.plan.training:
        yield run.job, Stage.TRAINING, run.name, None


def _evaluation(context: Context) -> Iterator[tuple[str, Stage, str, str | None]]:
    for each in context.plan.cells:
        yield each.job, Stage.EVALUATION, each.run, each.name


def status_blocks(context: Context, ledger: Ledger | None) -> dict[str, str]:
    """Markdown by name of the block: `fine-tuning` and `evaluation`, each where the design has such jobs."""
    rows = job_rows(context, ledger)
    chosen = {stage.row.block: (stage.row.heading, [row for row in rows if row.stage is stage]) for stage in Stage}
    return {block: _block(heading, listed) for block, (heading, listed) in chosen.items() if listed}


def _block(heading: str, rows: Sequence[JobRow]) -> str:
    shown = rows if len(rows) <= MOST_ROWS else [row for row in rows if not row.counts][:MOST_ROWS]
    cells = any(row.cell for row in rows)
    header = ["run", *(["evaluation"] if cells else []), "status", "attempt", "job", "ended", "log or reason"]
    lines = [f"## {heading}", counts(rows)]
    lines += [table(header, (_row(row, cells=cells) for row in shown))] if shown else []
    lines += [f"{len(rows) - len(shown)} further jobs are not listed here."] if len(shown) < len(rows) else []
    return "\n\n".join(lines)


def _row(row: JobRow, *, cells: bool) -> list[str]:
    tried = row.attempt
    place = [row.run, *([row.cell or NOTHING] if cells else [])]
    if not tried:
        return [*place, row.condition, NOTHING, NOTHING, NOTHING, NOTHING]
    failed = tried.failure and not row.counts
    state = f"{row.condition} ({tried.failure})" if failed and str(tried.failure) != row.condition else row.condition
    said = (row.why or tried.reason if failed else None) or tried.log or NOTHING
    return [*place, state, str(tried.number), tried.job_id or NOTHING, tried.ended or NOTHING, said]


def counts(rows: Sequence[JobRow]) -> str:
    """How many jobs are in which state: `3 of 4 done, 1 failed.`."""
    return f"{counted(row.condition for row in rows)}."
