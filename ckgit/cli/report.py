"""`ckgit report`: what came of an experiment, to read and to share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckgit.cli.output.others import over
from ckgit.cli.output.tables import printable
from ckgit.cli.output.writing import refuse_others, write_file, write_files
from ckgit.cli.shared.common import emit, experiment_name, json_option, lab_from, markdown_text, name_argument, note
from ckgit.errors import CkgitError, Exit

if TYPE_CHECKING:
    from ckgit.experiment.outputs.shown import ReportDocument
    from ckgit.lab.lab import Lab
    from ckgit.orchestrators.reports.read import CommittedReport


@click.command("report")
@name_argument
@click.option("--html", "html", is_flag=True, help="Write it as one page of HTML that needs no other file.")
@click.option("--pdf", is_flag=True, help="Write it as PDF, by an installed Chromium or Chrome.")
@click.option("--open", "shown", is_flag=True, help="Write the page, and show it in the browser.")
@click.option("--output", type=click.Path(path_type=Path), metavar="PATH", help="Where to: a file, or without --html or --pdf a folder.")
@json_option
@click.pass_context
def command(ctx: click.Context, *, name: str | None, html: bool, pdf: bool, shown: bool, output: Path | None, as_json: bool) -> None:
    """Write an experiment's report where it can be read, and say its answer.

    Without an option it is written as Markdown, with its pictures, into .ckgit/reports/NAME of the lab. It comes from the branch alone,
    also of an experiment that is closed, merged, or on a remote.
    """
    from ckgit.analysis.pages.report_page import REPORT
    from ckgit.orchestrators.reports.files import reader_folder
    from ckgit.orchestrators.reports.read import read_report

    if pdf and (html or shown):
        raise click.UsageError("--pdf goes alone; --html and --open write the page.", ctx)
    lab = lab_from(ctx)
    found = read_report(lab, experiment_name(lab, name))
    suffix = ".pdf" if pdf else ".html" if html or shown else ""
    target = (output or reader_folder(lab, "reports", found.snapshot.name)).absolute()
    if suffix and (output is None or target.is_dir()):
        target /= f"report{suffix}"
    _write(lab, found, target, suffix)
    main = target if suffix else target / REPORT
    _tell_edits(found)
    if shown:
        _show(main)
    told = [*over(found.closing, found.snapshot.kept), markdown_text(found.beginning)]
    emit(lambda: _document(found, main), as_json, "\n\n".join([*told, f"The report: {printable(_short(main))}"]))


def _write(lab: Lab, found: CommittedReport, target: Path, suffix: str) -> None:
    from ckgit.analysis.pages.report_page import PAGE
    from ckgit.orchestrators.reports.browser import printed

    if not suffix:
        _make(target)
        write_files(lab, {target / name: content for name, content in {**found.files, PAGE: found.page()}.items()})
    elif not target.parent.is_dir():
        raise CkgitError("there is no such folder", code=Exit.USAGE, where=str(target.parent), state="nothing was written")
    elif suffix == ".pdf":
        refuse_others(lab, [target])
        write_file(lab, target, printed(found.page(unfolded=True), found.snapshot.name))
    else:
        write_file(lab, target, found.page())


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what, onward = f"it cannot be made: {error.strerror}", "name another place: --output PATH"
        raise CkgitError(what, code=Exit.COMMAND_FAILED, where=str(folder), state="nothing was written", next=onward) from None


def _show(page: Path) -> None:
    from ckgit.orchestrators.reports.browser import open_in_browser

    if not open_in_browser(page.as_uri()):
        note("note: no browser can be opened from here; the page is one file, which may be copied anywhere")


def _tell_edits(found: CommittedReport) -> None:
    from ckgit.lab.history.hand_edits import edit_lines

    for line in edit_lines(found.edited):
        note(f"warning: not as ckgit wrote it: {printable(line)}")


def _short(path: Path) -> str:
    """As it may be typed here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _document(found: CommittedReport, main: Path) -> ReportDocument:
    from ckgit.experiment.outputs.shown import ReportDocument
    from ckgit.experiment.outputs.standing import EditedFile

    return ReportDocument(
        experiment=found.snapshot.name,
        commit=found.snapshot.tip,
        report=f"{found.snapshot.folder}/analysis/report.md",
        kept=found.snapshot.kept,
        edited=tuple(EditedFile(**edit._asdict()) for edit in found.edited),
        answer=found.beginning,
        file=str(main),
    )
