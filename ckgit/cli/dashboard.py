"""`ckgit dashboard`: the whole lab as pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckgit.cli.output.streams import say
from ckgit.cli.output.tables import printable
from ckgit.cli.shared.common import emit, json_option, lab_from, note
from ckgit.formats.listing import plural

if TYPE_CHECKING:
    from ckgit.experiment.outputs.shown import DashboardDocument
    from ckgit.lab.lab import Lab
    from ckgit.orchestrators.dashboard.make import WrittenDashboard


@click.command("dashboard")
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", help="Where to; .ckgit/dashboard of the lab otherwise.")
@click.option("--open", "shown", is_flag=True, help="Show it in the browser.")
@click.option("--serve", is_flag=True, help="Answer on this machine's own address instead, always with what is there now, until Ctrl-C.")
@click.option("--port", type=click.IntRange(1, 65535), help="With --serve: port that it answers on; one that is free otherwise.")
@json_option
@click.pass_context
def command(ctx: click.Context, *, output: Path | None, shown: bool, serve: bool, port: int | None, as_json: bool) -> None:
    """Write the whole lab as pages of HTML: what runs, what failed, what was found, and what it cost.

    The first page has every experiment by its state, and each experiment has a page with its jobs, its history and its report. They need
    no server, no network and no script. An experiment that cannot be read is shown as such, with the reason. A folder that holds
    something else is left alone.
    """
    if serve and (output or as_json):
        raise click.UsageError("--serve goes without --output and --json: it writes nothing.", ctx)
    if port and not serve:
        raise click.UsageError("--port is for --serve.", ctx)
    lab = lab_from(ctx)
    if serve:
        _serve(lab, port, shown=shown)
        return
    written = _write(lab, output)
    if shown:
        _show(written.page.as_uri())
    emit(lambda: _document(written), as_json, _told(written))


def _write(lab: Lab, output: Path | None) -> WrittenDashboard:
    from ckgit.orchestrators.dashboard.make import write_dashboard
    from ckgit.orchestrators.dashboard.reading import LabReader
    from ckgit.orchestrators.reports.files import reader_folder

    folder = output.absolute() if output else reader_folder(lab, "dashboard", "")
    return write_dashboard(lab, LabReader(lab).read(), folder)


def _serve(lab: Lab, port: int | None, *, shown: bool) -> None:
    from ckgit.orchestrators.dashboard.serving import DashboardServer, LivePages

    with DashboardServer(LivePages(lab), port) as server:
        note("Ctrl-C ends it.")
        say(f"Dashboard of {printable(lab.root.resolve().name)}: {server.address}")
        if shown:
            _show(server.address)
        server.serve_forever()


def _show(address: str) -> None:
    from ckgit.orchestrators.reports.browser import open_in_browser

    if not open_in_browser(address):
        note("note: no browser can be opened from here")


def _told(written: WrittenDashboard) -> str:
    found = written.lab.experiments
    unread = [each for each in found if each.problems]
    lines = [f"unreadable: {printable(each.name)}: {printable(problem.what)}" for each in unread for problem in each.problems]
    lines += [f"unreadable: {printable(problem.what)}" for problem in written.lab.problems]
    return "\n".join([f"{plural(len(found), 'experiment')}: {written.page}", *lines])


def _document(written: WrittenDashboard) -> DashboardDocument:
    from ckgit.experiment.outputs.shown import DashboardDocument, UnreadExperiment

    return DashboardDocument(
        file=str(written.page),
        experiments=len(written.lab.experiments),
        unreadable=tuple(
            UnreadExperiment(experiment=each.name, problem=problem.what) for each in written.lab.experiments for problem in each.problems
        ),
        problems=tuple(problem.what for problem in written.lab.problems),
    )
