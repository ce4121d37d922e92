"""`ckgit compare`: experiments or runs side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from ckgit.cli.output.streams import say
from ckgit.cli.output.tables import printable, table, wrapped
from ckgit.cli.shared.answering import asked, moment_options
from ckgit.cli.shared.common import json_option, lab_from, print_document
from ckgit.results.database import Moment

if TYPE_CHECKING:
    from ckgit.experiment.outputs.across.answers import ComparedMetric, CompareDocument

_LONGEST = 40  # characters of a value


@click.command("compare")
@click.argument("names", metavar="A B [C ...]", nargs=-1, required=True)
@moment_options
@json_option
@click.pass_context
def command(ctx: click.Context, *, names: tuple[str, ...], as_of: str, at: str, as_json: bool) -> None:
    """Compare experiments, or runs of them: how they differ, and what came of it.

    A, B and C are EXPERIMENT or EXPERIMENT/RUN. Of designs and parameters only what differs is shown. Then each other one is compared
    with A, metric by metric, over the rows that both answered: those with the same id and the same target. Of two experiments, runs of
    the same name are compared.
    """
    from ckgit.results.compare import compare, find_sides

    if len(names) < 2:  # noqa: PLR2004 - one has nothing to be compared with
        raise click.UsageError("Name two experiments or runs, or more.", ctx)
    lab = lab_from(ctx)
    sides = asked(lab, lambda connection: find_sides(connection, names), Moment(as_of, at))
    found = compare(lab, sides)
    print_document(found) if as_json else say("\n\n".join(_parts(found)))


def _parts(found: CompareDocument) -> Iterator[str]:
    if found.differences:
        rows = [[each.place, *(_value(value) for value in each.values)] for each in found.differences]
        yield "What differs\n" + table(["", *(side.name for side in found.sides)], rows)
    else:
        yield "Nothing differs in what was designed."
    if found.metrics:
        header = ["task", "metric", "A", "B", "A's", "B's", "B - A", "95 % interval", "rows"]
        rows = [_cells(each) for each in found.metrics]
        about = "The same metrics over the rows that both answered; an interval is about these two models, on rows like these."
        yield f"{wrapped(about)}\n{table(header, rows)}"
    told = [f"{each.left_run} and {each.right_run}, {each.metric} of {each.task}: {each.remark}" for each in found.metrics if each.remark]
    if remarks := [*dict.fromkeys([*told, *found.remarks])]:
        yield "\n".join(wrapped(f"- {printable(each)}", 2) for each in remarks)


def _value(value: object) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _cells(each: ComparedMetric) -> list[str]:
    from ckgit.formats.markdown import number, with_ends

    told = with_ends(each.difference or 0.0, each.low, each.high)
    between = told.partition(" ")[2] or "–"  # noqa: RUF001 - where there is none
    values = [number(each.left_value), number(each.right_value), told.partition(" ")[0] if each.difference is not None else "–"]  # noqa: RUF001
    return [each.task, each.metric, each.left_run, each.right_run, *values, between, f"{each.rows:,}"]
