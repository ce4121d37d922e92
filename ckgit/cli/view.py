"""`ckgit view`: the logs of an experiment in inspect's viewer."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import click

from ckgit.cli.completion import runs
from ckgit.cli.output.streams import say
from ckgit.cli.output.tables import printable
from ckgit.cli.shared.common import experiment_name, lab_from, name_argument, note


@click.command("view")
@name_argument
@click.argument("cell", required=False, shell_complete=runs)
@click.option("--port", type=click.IntRange(1, 65535), help="Port of this machine that it answers on; one that is free otherwise.")
@click.option("--no-open", is_flag=True, help="Print the address alone, and open no browser.")
@click.pass_context
def command(ctx: click.Context, *, name: str | None, cell: str | None, port: int | None, no_open: bool) -> None:
    """Look at an experiment's evaluations, answer by answer, in inspect's viewer.

    CELL is a run, an evaluation, or RUN/EVALUATION. It runs until Ctrl-C. Logs come from the branch; those that were too large for it, from
    the work tree.
    """
    from ckgit.orchestrators.engine.experiment import open_experiment
    from ckgit.orchestrators.reports.browser import open_in_browser
    from ckgit.orchestrators.reports.files import reader_folder
    from ckgit.orchestrators.reports.logs import logs
    from ckgit.orchestrators.reports.viewer import check_viewer, lay_out, viewing

    check_viewer()
    lab = lab_from(ctx)
    view = open_experiment(lab, experiment_name(lab, name), kept=True)
    found = logs(view, cell)
    for log in found:
        if log.why_not:
            note(f"note: {printable(log.name)} is not shown: {printable(log.why_not)}")
    with tempfile.TemporaryDirectory(prefix="shown-", dir=reader_folder(lab, "logs", view.name), ignore_cleanup_errors=True) as folder:
        lay_out(found, Path(folder))
        with viewing(Path(folder), port) as viewer:
            say(f"Logs of {view.name}: {viewer.address}")
            note("Ctrl-C ends it." if no_open or open_in_browser(viewer.address) else "No browser can be opened from here. Ctrl-C ends it.")
            with contextlib.suppress(KeyboardInterrupt):
                viewer.wait()
