"""`ckgit bisect`: what explains a gap between two runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckgit.cli.output.streams import say
from ckgit.cli.output.tables import printable, table, wrapped
from ckgit.cli.output.writing import write_new
from ckgit.cli.shared.answering import asked
from ckgit.cli.shared.common import experiment_name, json_option, lab_from, note, print_document
from ckgit.errors import CkgitError, Exit
from ckgit.results.database import NOW

if TYPE_CHECKING:
    from ckgit.experiment.outputs.across.bisected import BisectDocument, BisectedStep

_LONGEST = 40  # characters of a value


@click.command("bisect")
@click.argument("left", metavar="A")
@click.argument("right", metavar="B")
@click.option("--task", metavar="TASK", help="Task whose scores are compared; needed where both have several.")
@click.option("--metric", metavar="METRIC", help="METRIC, or SCORER/METRIC; accuracy where both have one.")
@click.option("--design", "design", metavar="NAME", help="Write the runs that would decide as a design into NAME.yaml, to be reviewed.")
@json_option
@click.pass_context
def command(ctx: click.Context, *, left: str, right: str, task: str | None, metric: str | None, design: str | None, as_json: bool) -> None:
    """Say which differing parameters explain a gap between two runs, by runs that exist.

    A and B are EXPERIMENT/RUN; B may be a run of A's experiment. Runs of all analyzed experiments that lie between them, with A's or B's
    value of each parameter that differs and alike in all else, tell what one parameter's change makes. What they do not tell, the fewest
    new runs would: they are printed as a design, which nobody has committed.
    """
    from ckgit.results.bisecting.bisect import Wish, bisect
    from ckgit.results.bisecting.stored import stored_lab

    lab = lab_from(ctx)
    name = experiment_name(lab, design) if design else None
    target = Path(f"{name}.yaml")
    if name and target.exists():
        raise CkgitError(
            "it is there already", code=Exit.USAGE, where=str(target), state="nothing was written", next="name another experiment"
        )
    found = bisect(lab, asked(lab, stored_lab, NOW), Wish(left, right, task, metric, name))
    if name and found.design:
        write_new(target, found.design.encode())
        found = found.model_copy(update={"file": str(target)})
    if as_json:
        print_document(found)
        return
    say("\n\n".join(_parts(found)))
    if name and not found.design:
        note("note: no run is wanted that a design could hold, so none was written")


def _parts(found: BisectDocument) -> Iterator[str]:
    from ckgit.analysis.bisecting.attribute import percent

    yield wrapped(printable(found.answer))
    rows = [[each.name, *(_value(values) for values in (each.a, each.b))] for each in found.factors]
    if rows:
        yield f"What differs\n{table(['', 'A', 'B'], rows)}"
    for heading, steps in (("The way from A to B", [each for each in found.steps if each.on_way]), ("Beside it", _beside(found))):
        if steps:
            header = ["changed", "the others", "before", "after", "difference", f"{percent(found.gap.level)} interval", "told"]
            yield f"{heading}\n{table(header, map(_cells, steps), less=['told'])}"
    if found.remarks:
        yield "\n".join(wrapped(f"- {printable(each)}", 2) for each in found.remarks)
    if found.wanted:
        yield _wanted(found)


def _beside(found: BisectDocument) -> list[BisectedStep]:
    return [each for each in found.steps if not each.on_way]


def _value(values: Mapping[str, object]) -> str:
    from ckgit.formats.numbers import short_value

    several = len(values) > 1
    text = ", ".join(f"{place}: {short_value(value)}" if several else short_value(value) for place, value in values.items())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _cells(step: BisectedStep) -> list[str]:
    from ckgit.formats.markdown import number, with_ends

    difference, _, ends = with_ends(step.difference or 0.0, step.low, step.high).partition(" ")
    held = ", ".join(f"{name}: {side}" for name, side in step.held.items())
    values = [number(value) for value in (step.before_value, step.after_value)]
    return [step.factor, held, *values, difference if step.difference is not None else "", ends, step.told]


def _wanted(found: BisectDocument) -> str:
    lines = [f"- {', '.join(f'{name}: {side}' for name, side in each.held.items())}{_seeds(each.seeds)}" for each in found.wanted]
    listed = "\n".join(["Runs that would decide", *(wrapped(printable(line), 2) for line in lines)])
    if found.file:
        name = Path(found.file).stem
        return f"{listed}\nThe design: {printable(found.file)}\nnext: read it, then ckgit design {name} --from {found.file}"
    return f"{listed}\n\n{found.design}" if found.design else listed


def _seeds(seeds: tuple[int, ...]) -> str:
    return f" (seed {', '.join(map(str, seeds))})" if seeds else ""
