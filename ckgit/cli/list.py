"""`ckgit list`: every experiment of the lab, or those that are asked for."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from ckgit.cli.output.tables import printable, table
from ckgit.cli.shared.common import emit, json_option, lab_from, note
from ckgit.errors import CkgitError
from ckgit.experiment.classify import LedgerOutline, left_by_in_words
from ckgit.experiment.state import State
from ckgit.formats.times import local, utc
from ckgit.lab.experiments import ExperimentRow, list_experiments
from ckgit.lab.lab import Lab
from ckgit.orchestrators.queries.experiments import beside, left_to_cluster, with_remotes, with_unknown_jobs

if TYPE_CHECKING:
    from ckgit.experiment.outputs.listings import ListDocument
    from ckgit.experiment.outputs.standing import LeftToJob
    from ckgit.lab.history.closings import Closing

_BESIDE = 4  # lines of a terminal that are not rows: header, what is left out, prompt
_LEAST = 10  # rows, on a terminal of any height
_MANY = 200  # designs whose reading takes so long that it is said
SORTS = ("newest", "oldest", "name", "state")


class Listed(NamedTuple):
    """What is printed."""

    rows: Sequence[ExperimentRow]
    more: int  # experiments that are left out
    all: str  # the command that shows them, too
    closings: Mapping[str, Closing]  # of those that are closed, by commit
    asked: bool  # whether some were asked for
    left: Mapping[str, LedgerOutline]  # ledgers of those that are left to their cluster, by name


@click.command("list")
@click.option("--state", "states", type=click.Choice([*map(str, State)]), multiple=True, help="Those in this state; may be given again.")
@click.option(
    "--where", "conditions", metavar="NAME=VALUE", multiple=True, help="Those whose design says so; all that are given must hold."
)
@click.option("--sort", type=click.Choice(SORTS), default="newest", show_default=True, help="By the last commit, by name, or by state.")
@click.option("--limit", type=click.IntRange(min=0), help="At most so many; 0 for all. A terminal is given as many as fit.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, *, states: tuple[str, ...], conditions: tuple[str, ...], sort: str, limit: int | None, as_json: bool
) -> None:
    """List the experiments of the lab.

    Each with its state, what its last commit recorded, and when; also those whose branch is gone, since they were closed or merged.
    A NAME of --where is any that a design has (lora_rank, model, task, generation.temperature), and = may also be != < <= > >=; a
    VALUE may have * in it. It holds where one of the design's values is such.
    """
    lab = lab_from(ctx)
    rows = list_experiments(lab, kept=True)
    try:
        rows = with_unknown_jobs(lab, with_remotes(lab, rows), beside(lab, rows))
    except CkgitError as error:  # where jobs would be looked for cannot be read
        note(f"ckgit: {error}")
    asked = bool(states or conditions)
    rows = _chosen(lab, rows, states, conditions, sort)
    most = _most(as_json=as_json) if limit is None else limit or len(rows)
    shown, more = rows[:most], max(len(rows) - most, 0)
    listed = Listed(shown, more, _command(states, conditions, sort), _closings(lab, shown), asked, _left(lab, shown))
    emit(lambda: _document(listed), as_json, "\n".join(_lines(listed)))


def _chosen(lab: Lab, rows: list[ExperimentRow], states: Sequence[str], conditions: Sequence[str], sort: str) -> list[ExperimentRow]:
    from ckgit.orchestrators.queries.find import Where, in_states, such, unknown_name

    parsed = [Where.parse(text) for text in conditions]
    found = in_states(rows, states, sort)
    if not parsed:
        return found
    from ckgit.orchestrators.queries.design_values import design_values

    designs = design_values(lab, found, {row.tip for row in rows}, _say_reading)
    if told := unknown_name(parsed, designs.values()):
        note(f"note: {told}")
    return such(found, parsed, designs)


def _left(lab: Lab, rows: Sequence[ExperimentRow]) -> Mapping[str, LedgerOutline]:
    try:
        return left_to_cluster(lab, rows)
    except CkgitError as error:  # where a ledger should be is none: the rest of the lab can be seen all the same
        note(f"ckgit: {error}")
        return {}


def _closings(lab: Lab, rows: Sequence[ExperimentRow]) -> Mapping[str, Closing]:
    closed = [row.closing for row in rows if row.closing]
    if not closed:
        return {}
    from ckgit.lab.history.closings import closings

    return closings(lab.root, closed)


def _say_reading(count: int) -> None:
    if count > _MANY:
        note(f"reading {count:,} designs; what they say is kept for the next time")


def _most(*, as_json: bool) -> int:
    """How many rows are shown where nobody says it."""
    if as_json or not sys.stdout.isatty():
        return sys.maxsize
    import shutil  # which brings what packs archives, 2 ms

    return max(shutil.get_terminal_size().lines - _BESIDE, _LEAST)


def _command(states: Sequence[str], conditions: Sequence[str], sort: str) -> str:
    words = [word for state in states for word in ("--state", state)]
    words += [word for condition in conditions for word in ("--where", condition)]
    words += ["--sort", sort] if sort != SORTS[0] else []
    return shlex.join(["ckgit", "list", *words, "--limit", "0"])


def _document(listed: Listed) -> ListDocument:
    from ckgit.experiment.outputs.fields import Closed
    from ckgit.experiment.outputs.listings import ListDocument, ListedExperiment

    rows = (
        ListedExperiment(
            experiment=row.name,
            lifecycle_state=row.state,
            commit=row.tip,
            time=utc(row.date),
            records=row.event,
            design_hash=row.design,
            left_to=_left_to(listed.left.get(row.name)),
            closed=Closed.of(listed.closings.get(row.closing)),
            kept=row.kept,
            note=row.note,
        )
        for row in listed.rows
    )
    return ListDocument(experiments=tuple(rows), more=listed.more)


def _lines(listed: Listed) -> Iterator[str]:
    if listed.rows:
        rows = [_cells(row, listed) for row in listed.rows]
        yield table(["experiment", "state", "last event", "when", "note"], rows, less=["last event"])
    elif listed.asked:
        yield "no experiment matches; `ckgit list` shows all"
    else:
        yield "no experiments yet; `ckgit design NAME` makes the first one"
    if listed.more:
        yield f"and {listed.more:,} more: {listed.all}"


def _cells(row: ExperimentRow, listed: Listed) -> list[str]:
    left, closing = listed.left.get(row.name), listed.closings.get(row.closing)
    notes = [f"closed: {printable(closing.because)}"] if closing else []
    notes += ["its branch is gone"] if row.kept else []
    notes += [f"on {left.cluster}, {printable(left_by_in_words(left.left_by))}"] if left else []
    return [row.name, row.state or "unknown", row.event or "", local(row.date), "; ".join(filter(None, [*notes, row.note]))]


def _left_to(ledger: LedgerOutline | None) -> LeftToJob | None:
    from ckgit.experiment.jobs import LeftBy
    from ckgit.experiment.outputs.standing import LeftToJob

    if not ledger:
        return None
    left_by = LeftBy(**ledger.left_by._asdict()) if ledger.left_by else None
    return LeftToJob(token=ledger.detached[0], cluster=ledger.cluster, left_by=left_by)
