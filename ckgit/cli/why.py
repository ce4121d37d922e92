"""`ckgit why`: why jobs failed or wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from ckgit.cli.output.others import others
from ckgit.cli.output.tables import printable, wrapped
from ckgit.cli.shared.common import emit, experiment_name, json_option, lab_from, name_argument, note
from ckgit.formats.listing import first_of, in_words
from ckgit.orchestrators.design.inputs.stale import newer_inputs
from ckgit.orchestrators.engine.partial_view import PartialView, open_partially
from ckgit.orchestrators.queries.upstream import told_ahead
from ckgit.orchestrators.queries.why import Reason, why

if TYPE_CHECKING:
    from ckgit.experiment.outputs.reasons import WhyDocument

_MOST = 5  # jobs that are named with one reason


@click.command("why")
@name_argument
@json_option
@click.pass_context
def command(ctx: click.Context, *, name: str | None, as_json: bool) -> None:
    """Say why jobs failed or wait.

    Jobs of which the same is to be said are told together, with the last lines of one of their logs.
    """
    lab = lab_from(ctx)
    experiment = experiment_name(lab, name)
    found = open_partially(lab, experiment, kept=True)
    reasons = why(found)
    for problem in found.problems:
        note(f"ckgit: {problem}")
    for text in newer_inputs(lab, experiment):
        note(f"note: {text}")
    state = found.snapshot.standing if found.snapshot else None
    paragraphs = first_of(map(_paragraph, _alike(reasons)), more="more reasons (--json has them all)")
    ahead = told_ahead(lab, found.snapshot) if found.snapshot else []
    told = paragraphs or [f"{experiment} is {state}; no job of it failed, and none waits"]
    emit(lambda: _document(found, reasons, ahead), as_json, "\n\n".join([*told, *others(found.ledger, ahead)]))


def _document(found: PartialView, reasons: Sequence[Reason], ahead: Sequence[str]) -> WhyDocument:
    from ckgit.experiment.outputs.reasons import ExplainedJob, WhyDocument
    from ckgit.experiment.outputs.standing import LeftToJob

    jobs = (ExplainedJob(**reason._asdict() | {"lines": tuple(reason.lines)}) for reason in reasons)
    state = found.snapshot.state if found.snapshot else None
    left_to = LeftToJob.of(found.ledger)
    return WhyDocument(experiment=found.name, lifecycle_state=state, left_to=left_to, ahead=tuple(ahead), jobs=tuple(jobs))


def _alike(reasons: Iterable[Reason]) -> Iterable[list[Reason]]:
    """Reasons of which the same is to be said."""
    found: dict[tuple[str, str], list[Reason]] = {}
    for reason in reasons:
        found.setdefault((_kind(reason), reason.reason), []).append(reason)
    return found.values()


def _kind(reason: Reason) -> str:
    what = f"{reason.phase}, {reason.failure}" if reason.failure and reason.failure != reason.phase else reason.phase
    return f"{what}, attempt {reason.attempt}" if reason.attempt > 1 else what


def _paragraph(alike: Sequence[Reason]) -> str:
    """What is to be said of jobs, and the end of the first log that one of them left."""
    first = next((reason for reason in alike if reason.lines), alike[0])
    head = wrapped(f"{in_words((reason.job for reason in alike), _MOST)} ({_kind(first)}): {printable(first.reason)}", 2)
    log = [f"  {first.log}:", *(f"    {printable(line)}" for line in first.lines)] if first.log and first.lines else []
    return "\n".join([head, *log])
