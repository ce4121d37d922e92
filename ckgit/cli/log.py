"""`ckgit log`: the story of an experiment."""

from __future__ import annotations

import click

from ckgit.cli.common import emit, experiment_name, json_option, lab_from, name_argument
from ckgit.cli.tables import table
from ckgit.lab.history import HistoryEntry, history
from ckgit.lab.snapshot import take_snapshot


@click.command("log")
@name_argument
@json_option
@click.pass_context
def command(ctx: click.Context, *, name: str | None, as_json: bool) -> None:
    """Tell the story of an experiment, commit by commit.

    Oldest first: what each commit recorded, from which state to which, when, and by whom.
    """
    lab = lab_from(ctx)
    snapshot = take_snapshot(lab, experiment_name(lab, name))
    chapters = history(lab, snapshot)
    document = {"experiment": snapshot.name, "commits": [_document(chapter) for chapter in chapters]}
    emit(document, as_json, table(["commit", "event", "step", "when", "who", "what"], map(_cells, chapters), less=["who", "step"]))


def _document(chapter: HistoryEntry) -> dict[str, str | None]:
    return {
        "commit": chapter.commit,
        "event": chapter.event,
        "from": chapter.source,
        "to": chapter.target,
        "date": chapter.date.isoformat(),
        "author": chapter.author,
        "subject": chapter.subject,
        "body": chapter.body,
    }


def _cells(chapter: HistoryEntry) -> list[str]:
    step = f"{chapter.source} -> {chapter.target}" if chapter.event else "(not ckgit's)"
    what = chapter.body.partition("\n")[0] if chapter.event else chapter.subject
    return [chapter.commit[:12], chapter.event or "", step, f"{chapter.date:%Y-%m-%d %H:%M}", chapter.author, what]
