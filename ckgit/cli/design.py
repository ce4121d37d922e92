"""`ckgit design`: an experiment on a branch of its own, from a file, another experiment or an interview."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckgit.cli.common import dry_run_option, emit, json_option, lab_from, warn
from ckgit.cli.completion import experiments, files
from ckgit.cli.tables import wrapped
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.state import State
from ckgit.formats.advice import commands

if TYPE_CHECKING:
    from ckgit.experiment.outputs.designs import DesignCost, DesignDocument
    from ckgit.experiment.outputs.planned import PlannedCommit
    from ckgit.orchestrators.design.draft import Draft
    from ckgit.orchestrators.design.forecast import Forecast

set_option = click.option(
    "--set", "changes", multiple=True, metavar="PLACE=VALUE", help="Replace or add a value, e.g. controls.lr=1e-4. May be repeated."
)


@click.command("design")
@click.argument("name")
@click.option("--from", "source", metavar="FILE", shell_complete=files, help="A summary, or the design alone as YAML; - is standard input.")
@click.option("--like", metavar="OTHER", shell_complete=experiments, help="Begin with the design of experiment OTHER.")
@set_option
@dry_run_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, name: str, source: str | None, like: str | None, changes: Sequence[str], *, dry_run: bool, as_json: bool
) -> None:
    """Design experiment NAME on a branch of its own.

    Checks that models, data and tasks exist, measures the data, estimates what the runs cost, and commits all of it.
    On a terminal, without --from and --like, it asks.
    """
    from ckgit.orchestrators.design import draft as design

    if source and like:
        raise click.UsageError("--from and --like exclude each other")
    lab = lab_from(ctx)
    wanted = design.changes_from(changes)
    if source:
        draft = design.draft_new(lab, name, *read_file(source), wanted)
    elif like:
        draft = design.draft_like(lab, name, like.removeprefix("exp/"), wanted)
    elif sys.stdin.isatty() and not as_json:
        from ckgit.cli.interview import interview

        finish(interview(lab, name, wanted), dry_run=dry_run, as_json=as_json)
        return
    else:
        design.refuse_existing(lab, name)
        raise CkgitError(
            "there is nothing to design from",
            code=Exit.USAGE,
            state="nothing was written",
            next=f"ckgit design {name} --from FILE, or --like OTHER; on a terminal, `ckgit design {name}` asks",
        )
    warn(draft.warnings)
    finish(draft, dry_run=dry_run, as_json=as_json)


def finish(draft: Draft, *, dry_run: bool, as_json: bool) -> None:
    """Commit a draft, or show what would be committed."""
    from ckgit.orchestrators.design import draft as design

    if dry_run:
        shown = design.show(draft)
        text = "\n".join([*shown.lines(), "", "", draft.summary.text])
        emit(lambda: _document(draft, would_commit=shown), as_json, text)
        return
    commit, onward = design.commit(draft), f"ckgit advance {draft.name}"
    text = f"{wrapped(f'{draft.name} is designed: {design.totals(draft)}', 2)}\nexp/{draft.name} is at {commit[:12]}; next: {onward}"
    emit(lambda: _document(draft, commit=commit, advice=onward), as_json, text)


def _document(draft: Draft, *, commit: str | None = None, would_commit: PlannedCommit | None = None, advice: str = "") -> DesignDocument:
    from ckgit.experiment.outputs.designs import DesignDocument

    return DesignDocument(
        experiment=draft.name,
        lifecycle_state=State.DESIGNED,
        records=draft.event,
        design_hash=draft.summary.summary.digest,
        run_count=len(draft.plan.runs),
        cell_count=len(draft.plan.cells),
        estimate=_cost(draft.forecast),
        warnings=tuple(draft.warnings),
        commit=commit,
        would_commit=would_commit,
        summary=draft.summary.text if would_commit else None,
        advice=advice,
        next=tuple(commands(advice)),
    )


def _cost(found: Forecast) -> DesignCost:
    from ckgit.experiment.outputs.designs import DesignCost, RunCost

    runs = (
        RunCost(
            run=one.run.name,
            steps=one.steps.total if one.steps else None,
            training_seconds=one.training.seconds if one.training else None,
            training_memory_bytes=one.training.memory if one.training else None,
            checkpoint_bytes=one.training.disk if one.training else None,
            evaluation_seconds=one.evaluation.seconds if one.evaluation else None,
            evaluation_memory_bytes=one.evaluation.memory if one.evaluation else None,
        )
        for one in found.runs
    )
    return DesignCost(seconds=found.seconds, checkpoint_bytes=found.disk, runs=tuple(runs), sources=tuple(found.estimate.sources()))


def read_file(source: str) -> tuple[bytes, str]:
    """Content of a file, and what messages call it; `-` is standard input.

    Raises:
        CkgitError: it cannot be read.
    """
    if source == "-":
        return sys.stdin.buffer.read(), "<stdin>"
    path = Path(source)
    try:
        return path.read_bytes(), source
    except OSError as error:
        raise CkgitError(
            f"cannot read the design: {error.strerror}",
            code=Exit.USAGE,
            where=source,
            state="nothing was written",
            next="run the same command again with a file that can be read, or with - for standard input",
        ) from None
