"""`ckgit doctor`: whether a lab and this machine are fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ckgit.cli.output.streams import say
from ckgit.cli.output.tables import printable, wrapped
from ckgit.cli.shared.common import json_option, lab_from, note, print_document
from ckgit.errors import Exit
from ckgit.formats.advice import commands
from ckgit.formats.listing import plural
from ckgit.orchestrators.upkeep.doctor.checkup import CheckedThing, checkup
from ckgit.orchestrators.upkeep.doctor.point import Level

if TYPE_CHECKING:
    from ckgit.experiment.outputs.upkeep.health import DoctorDocument

_WIDE = 10  # of a check's name


@click.command("doctor")
@json_option
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> int:
    """Say whether this lab and this machine are fit, and what mends them.

    It looks at git, Python, the packages of jobs, GPUs, SLURM, hooks, the authority, disks, models, and what was left over. It only reads.
    It ends with 6 where something is an error, with which experiments do not run, or not as designed; a warning is none.
    """
    lab, found = lab_from(ctx), list[CheckedThing]()
    for each in checkup(lab, note):
        found.append(each)
        if not as_json:
            say("\n".join(_lines(each)))
    errors, warnings = (sum(each.point.level is level for each in found) for level in (Level.ERROR, Level.WARNING))
    if as_json:
        print_document(_document(found, fit=not errors))
    else:
        say(f"{plural(errors, 'error')}, {plural(warnings, 'warning')}")
    return int(Exit.TOOL_MISSING if errors else Exit.DONE)


def _lines(found: CheckedThing) -> list[str]:
    point = found.point
    lines = [wrapped(f"{point.level:<8} {found.check:<{_WIDE}} {printable(point.text)}", 10)]
    return [*lines, *([wrapped(f"         mend: {printable(point.mend)}", 10)] if point.mend else [])]


def _document(found: Sequence[CheckedThing], *, fit: bool) -> DoctorDocument:
    from ckgit.experiment.outputs.upkeep.health import CheckedPoint, DoctorDocument

    checks = (CheckedPoint(check=each.check, level=each.point.level.value, text=each.point.text, mend=each.point.mend) for each in found)
    advice = "; ".join(dict.fromkeys(each.point.mend for each in found if each.point.mend))
    return DoctorDocument(healthy=fit, checks=tuple(checks), advice=advice, next=tuple(commands(advice)))
