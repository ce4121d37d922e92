"""`ckgit quickstart`: the whole of ckgit on a model that is made here."""

from __future__ import annotations

from pathlib import Path

import click

from ckgit.cli.output.streams import say
from ckgit.examples.quickstart import EXAMPLES, quickstart
from ckgit.lab.user_folders import needed_user_folder


@click.command("quickstart")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--example", type=click.Choice(list(EXAMPLES)), default="tiny", help="tiny (made here, the default), or a real model.")
@click.option("--trainer", help="Tool that trains, where it is not that of the example's design.")
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False), help="Folder that keeps the model (default: ~/.cache/ckgit).")
@click.option("--dry-run", is_flag=True, help="Only show the commands.")
@click.pass_obj
def command(here: Path, folder: Path | None, example: str, trainer: str | None, cache: Path | None, *, dry_run: bool) -> None:
    """Make a lab and take its first experiment from design to report.

    Each command is shown and run as a user would. FOLDER is made when it is not there; a second start goes on where the first one ended.
    """
    chosen = EXAMPLES[example]
    lab = here / (folder or (f"{chosen.folder}-{trainer}" if trainer else chosen.folder))
    quickstart(chosen, lab, here / (cache or needed_user_folder("XDG_CACHE_HOME")), trainer, dry_run=dry_run, say=say)
