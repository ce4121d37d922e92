"""`ckgit init`: make a lab."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckgit.cli.common import dry_run_option, emit, json_option

if TYPE_CHECKING:
    from ckgit.experiment.outputs.labs import InitDocument
    from ckgit.lab.init import NewLab


@click.command("init")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option("--slots", type=click.IntRange(min=1), default=1, show_default=True, help="Jobs that run here at the same time.")
@dry_run_option
@json_option
@click.pass_context
def command(ctx: click.Context, folder: Path, slots: int, *, dry_run: bool, as_json: bool) -> None:
    """Make a lab in DIR, or make an existing repository one.

    A lab gets a configuration (ckgit.toml), a sample task and sample data, in one commit. In an existing repository only
    files that it lacks are added: nothing is changed, and what you have staged or edited stays as it is.
    """
    from ckgit.lab.init import make_lab, plan_lab

    place = (ctx.obj if isinstance(ctx.obj, Path) else Path()) / folder
    made = plan_lab(place, slots) if dry_run else make_lab(place, slots)
    emit(lambda: _document(made, dry_run=dry_run), as_json, _text(made, folder, dry_run=dry_run))


def _document(made: NewLab, *, dry_run: bool) -> InitDocument:
    from ckgit.experiment.outputs.labs import InitDocument

    return InitDocument(lab=str(made.folder), branch=made.branch, files=tuple(sorted(made.files)), dry_run=dry_run)


def _text(made: NewLab, folder: Path, *, dry_run: bool) -> str:
    if not made.files:
        return f"{made.folder} is a lab already (ckgit.toml is on branch {made.branch}); there is nothing to do"
    verb = "would make" if dry_run else "made"
    lines = [f"{verb} {made.folder} a lab, by one commit on branch {made.branch} with these new files:"]
    lines += [f"  {path}" for path in sorted(made.files)]
    return "\n".join(lines if dry_run else [*lines, _next(folder)])


def _next(folder: Path) -> str:
    change = [] if folder == Path() else [f"  cd {shlex.quote(str(folder))}"]
    return "\n".join(
        [
            "next:",
            *change,
            "  ckgit models add NAME PATH    describe a folder with a model (Hugging Face layout), by a card that is committed",
            "  ckgit design NAME             design an experiment, on a branch of its own",
        ]
    )
