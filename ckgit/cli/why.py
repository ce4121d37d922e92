"""`ckgit why`: why jobs failed or wait."""

from __future__ import annotations

import click

from ckgit.cli.common import emit, experiment_name, json_option, lab_from, name_argument, note, printable
from ckgit.orchestrators.cancel import look
from ckgit.orchestrators.why import Reason, why


@click.command("why")
@name_argument
@json_option
@click.pass_context
def command(ctx: click.Context, *, name: str | None, as_json: bool) -> None:
    """Say why jobs failed or wait.

    A sentence for each, and the last lines of its log.
    """
    lab = lab_from(ctx)
    experiment = experiment_name(lab, name)
    found = look(lab, experiment)
    reasons = why(found)
    for problem in found.problems:
        note(f"ckgit: {problem}")
    state = found.snapshot.state if found.snapshot else None
    document = {"experiment": experiment, "state": state, "jobs": [reason._asdict() for reason in reasons]}
    text = "\n\n".join(map(_paragraph, reasons)) or f"{experiment} is {state}; no job of it failed, and none waits"
    emit(document, as_json, text)


def _paragraph(reason: Reason) -> str:
    what = f"{reason.phase}, {reason.failure}" if reason.failure and reason.failure != reason.phase else reason.phase
    attempt = f", attempt {reason.attempt}" if reason.attempt > 1 else ""
    head = f"{reason.job} ({what}{attempt}): {printable(reason.sentence)}"
    log = [f"  {reason.log}:", *(f"    {printable(line)}" for line in reason.lines)] if reason.log and reason.lines else []
    return "\n".join([head, *log])
