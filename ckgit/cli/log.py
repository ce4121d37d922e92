"""`ckgit log`: the history of an experiment."""

from __future__ import annotations

import click

from ckgit.cli.common import emit, experiment_name, json_option, lab_from, name_argument
from ckgit.cli.tables import table
from ckgit.lab.history.entries import HistoryEntry, history
from ckgit.lab.snapshot import take_snapshot


@click.command("log")
@name_argument
@json_option
@click.pass_context
def command(ctx: click.Context, *, name: str | None, as_json: bool) -> None:
    """Show the history of an experiment, commit by commit.

    Oldest first: what each commit recorded, from which state to which, when, and by whom; and where a commit does not follow from the
    one before it.
    """
    lab = lab_from(ctx)
    snapshot = take_snapshot(lab, experiment_name(lab, name))
    entries = history(lab, snapshot)
    document = {"experiment": snapshot.name, "commits": [_document(entry) for entry in entries]}
    emit(document, as_json, table(["commit", "event", "step", "when", "who", "what"], map(_cells, entries), less=["who", "step"]))


def _document(entry: HistoryEntry) -> dict[str, str | None]:
    return {
        "commit": entry.commit,
        "event": entry.event,
        "from": entry.source,
        "to": entry.target,
        "date": entry.date.isoformat(),
        "author": entry.author,
        "subject": entry.subject,
        "body": entry.body,
        "problem": entry.problem,
    }


def _cells(entry: HistoryEntry) -> list[str]:
    step = f"{entry.source} -> {entry.target}" if entry.event else "(not ckgit's)"
    what = entry.body.partition("\n")[0] if entry.event else entry.subject
    told = f"NOT LEGAL: {entry.problem}" if entry.problem else what
    return [entry.commit[:12], entry.event or "", step, f"{entry.date:%Y-%m-%d %H:%M}", entry.author, told]
