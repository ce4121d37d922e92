"""`ckgit log`: the history of an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ckgit.cli.output.tables import table
from ckgit.cli.shared.common import emit, experiment_name, json_option, lab_from, name_argument
from ckgit.experiment.lifecycle import NO_STATE
from ckgit.formats.times import local, utc
from ckgit.lab.history.entries import HistoryEntry, history
from ckgit.lab.snapshot.take import take_snapshot

if TYPE_CHECKING:
    from ckgit.experiment.outputs.listings import LogDocument


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
    snapshot = take_snapshot(lab, experiment_name(lab, name), kept=True)
    entries = history(lab, snapshot)
    shown = table(["commit", "event", "step", "when", "who", "what"], map(_cells, entries), less=["who", "step"])
    emit(lambda: _document(snapshot.name, entries), as_json, shown)


def _document(experiment: str, entries: Sequence[HistoryEntry]) -> LogDocument:
    from ckgit.experiment.outputs.listings import LogDocument, LoggedCommit

    commits = (
        LoggedCommit(
            commit=entry.commit,
            time=utc(entry.date),
            author=entry.author,
            records=entry.event,
            source=None if entry.source == NO_STATE else entry.source,
            target=entry.target,
            subject=entry.subject,
            body=entry.body,
            problem=entry.problem,
        )
        for entry in entries
    )
    return LogDocument(experiment=experiment, commits=tuple(commits))


def _cells(entry: HistoryEntry) -> list[str]:
    step = f"{entry.source} -> {entry.target}" if entry.event else "(not ckgit's)"
    what = entry.body.partition("\n")[0] if entry.event else entry.subject
    told = f"NOT LEGAL: {entry.problem}" if entry.problem else what
    return [entry.commit[:12], entry.event or "", step, local(entry.date), entry.author, told]
