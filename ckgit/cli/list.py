"""`ckgit list`: every experiment of the lab."""

from __future__ import annotations

import click

from ckgit.cli.common import emit, json_option, lab_from, table
from ckgit.lab.lab import ExperimentRow, list_experiments
from ckgit.orchestrators.engine.orphans import beside, with_unknown_jobs


@click.command("list")
@json_option
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """List the experiments of the lab.

    Each with its state, what its last commit recorded, and when.
    """
    lab = lab_from(ctx)
    rows = list_experiments(lab)
    rows = with_unknown_jobs(lab, rows, beside(lab, rows))
    document = {"experiments": [row._asdict() | {"date": row.date.isoformat()} for row in rows]}
    header = ["experiment", "state", "last event", "when", "note"]
    emit(document, as_json, table(header, map(_cells, rows)) if rows else "no experiments yet; `ckgit design NAME` makes the first one")


def _cells(row: ExperimentRow) -> list[str]:
    return [row.name, row.state or "unknown", row.event or "", f"{row.date:%Y-%m-%d %H:%M}", row.note]
