"""`ckgit list`: every experiment of the lab."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from ckgit.cli.common import emit, json_option, lab_from, note, table
from ckgit.errors import CkgitError
from ckgit.formats.listing import in_words
from ckgit.lab.lab import ExperimentRow, Lab, list_experiments, merged_experiments, where_merged
from ckgit.orchestrators.queries.experiments import beside, with_unknown_jobs


@click.command("list")
@json_option
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """List the experiments of the lab.

    Each with its state, what its last commit recorded, and when; and those that the default branch holds, where their branch is gone.
    """
    lab = lab_from(ctx)
    rows = list_experiments(lab)
    try:
        rows = with_unknown_jobs(lab, rows, beside(lab, rows))
    except CkgitError as error:  # where jobs would be looked for cannot be read
        note(f"ckgit: {error}")
    merged = merged_experiments(lab, {row.name for row in rows})
    document = {"experiments": [row._asdict() | {"date": row.date.isoformat()} for row in rows], "merged": merged}
    emit(document, as_json, "\n".join(_lines(lab, rows, merged)))


def _lines(lab: Lab, rows: Sequence[ExperimentRow], merged: Sequence[str]) -> Iterator[str]:
    if rows:
        yield table(["experiment", "state", "last event", "when", "note"], map(_cells, rows))
    elif not merged:
        yield "no experiments yet; `ckgit design NAME` makes the first one"
    if merged:
        yield f"on {lab.default_branch}, without a branch of their own: {in_words(merged)} ({where_merged(lab, merged[0])})"


def _cells(row: ExperimentRow) -> list[str]:
    return [row.name, row.state or "unknown", row.event or "", f"{row.date:%Y-%m-%d %H:%M}", row.note]
