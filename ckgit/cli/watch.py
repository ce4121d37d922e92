"""`ckgit watch`: the lab in the terminal, as it is now."""

from __future__ import annotations

import importlib.util
import sys

import click

from ckgit.cli.shared.common import experiment_name, lab_from, name_argument
from ckgit.errors import CkgitError, Exit

_SECONDS = 2.0  # between two looks


@click.command("watch")
@name_argument
@click.pass_context
def command(ctx: click.Context, *, name: str | None) -> None:
    """Watch the lab in the terminal: experiments, jobs with their progress, and what happens.

    With NAME it begins with that experiment alone. Arrows move the mark, Enter opens an experiment, Escape leaves it, q ends. Nothing is
    changed: jobs that run go on.
    """
    from ckgit.orchestrators.dashboard.reading import LabReader, LabWatch
    from ckgit.orchestrators.queries.status import overview

    lab = lab_from(ctx)
    chosen = overview(lab, experiment_name(lab, name)).experiment if name else None
    _refuse_without_terminal(chosen)
    from ckgit.cli.output.watch_app import WatchApp

    WatchApp(LabWatch(lab, LabReader(lab, results=False, only=chosen)).read, _SECONDS, chosen).run()


def _refuse_without_terminal(name: str | None) -> None:
    if importlib.util.find_spec("textual") is None:
        what = "the lab is watched by textual, which is not installed"
        raise CkgitError(what, code=Exit.TOOL_MISSING, state="nothing was changed", next='pip install "ckgit[results]"')
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        once = f"{f'ckgit status {name}' if name else 'ckgit list'} says it once"
        raise CkgitError("watching takes a terminal, and this is none", code=Exit.USAGE, state="nothing was changed", next=once)
