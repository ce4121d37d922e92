"""`ckgit worker`: one worker alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from ckgit.cli.completion import workers
from ckgit.cli.output.tables import table
from ckgit.cli.shared.acting import carry_out, no_wait_option, run_option
from ckgit.cli.shared.common import dry_run_option, emit, experiment_name, json_option, lab_from, name_argument
from ckgit.cli.shared.subscribers import Terminal
from ckgit.errors import CkgitError, Exit
from ckgit.formats.listing import first_of
from ckgit.lab.lab import Lab
from ckgit.orchestrators.commands import one_worker
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import open_experiment, open_for_update

if TYPE_CHECKING:
    from ckgit.experiment.outputs.labs import PreviewDocument, WorkersDocument


@click.command("worker")
@click.argument("worker", required=False, shell_complete=workers)
@name_argument
@run_option
@no_wait_option
@dry_run_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, *, worker: str | None, name: str | None, run: str | None, no_wait: bool, dry_run: bool, as_json: bool
) -> int | None:
    """Run one worker alone, or list the workers.

    scaffold-TOOL renders its files into a folder beside the work trees and commits nothing; run-TOOL submits its jobs, waits and
    judges them as `ckgit advance` does. Without WORKER: all that are installed, with what each reads and writes.
    """
    if worker is None:
        found = one_worker.rows()
        header = ["worker", "stage", "package", "reads", "writes"]
        text = table(header, [[row.name, row.stage, row.package, row.reads, row.writes] for row in found])
        emit(lambda: _listed(found), as_json, text)
        return None
    lab = lab_from(ctx)
    experiment = experiment_name(lab, name)
    if worker.startswith(f"{one_worker.SCAFFOLD}-"):
        return _scaffold(lab, experiment, worker, run, dry_run=dry_run, as_json=as_json)
    view = open_experiment(lab, experiment) if dry_run else open_for_update(lab, experiment, Events(Terminal()))
    options = one_worker.run_options(view, worker, run=run, wait=not no_wait)
    return carry_out(lab, experiment, options, dry_run=dry_run, as_json=as_json)


def _scaffold(lab: Lab, experiment: str, worker: str, run: str | None, *, dry_run: bool, as_json: bool) -> int:
    view = open_experiment(lab, experiment)
    files = one_worker.render(view, worker, run)
    if not files:
        raise CkgitError(
            f"{worker} has nothing to write for {run or experiment}", code=Exit.USAGE, next=f"ckgit show {experiment}"
        )
    folder = None if dry_run else str(one_worker.write_preview(view, worker, files))
    listed = "\n".join(f"  {line}" for line in first_of(f"{path} ({len(content)} bytes)" for path, content in sorted(files.items())))
    head = f"would write {len(files)} files:" if dry_run else f"wrote {len(files)} files into {folder}; nothing was committed:"
    emit(lambda: _preview(worker, experiment, folder, files), as_json, f"{head}\n{listed}")
    return int(Exit.DONE)


def _listed(found: Sequence[one_worker.WorkerRow]) -> WorkersDocument:
    from ckgit.experiment.outputs.labs import ListedWorker, WorkersDocument

    rows = (
        ListedWorker(worker=row.name, tool=row.tool, stage=row.stage, package=row.package, reads=row.reads, writes=row.writes)
        for row in found
    )
    return WorkersDocument(workers=tuple(rows))


def _preview(worker: str, experiment: str, folder: str | None, files: Mapping[str, bytes]) -> PreviewDocument:
    from ckgit.experiment.outputs.labs import PreviewDocument, PreviewedFile

    written = (PreviewedFile(path=path, bytes=len(content)) for path, content in sorted(files.items()))
    return PreviewDocument(worker=worker, experiment=experiment, folder=folder, files=tuple(written))
