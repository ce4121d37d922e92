"""`ckgit revise`: an experiment goes back to designed."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ckgit.cli.common import dry_run_option, experiment_name, json_option, lab_from, name_argument, warn
from ckgit.cli.completion import files
from ckgit.cli.design import finish, read_file, set_option


@click.command("revise")
@name_argument
@click.option(
    "--from", "source", metavar="FILE", shell_complete=files, help="The new summary, or the design alone as YAML; - is standard input."
)
@set_option
@dry_run_option
@json_option
@click.pass_context
def command(ctx: click.Context, name: str | None, source: str | None, changes: Sequence[str], *, dry_run: bool, as_json: bool) -> None:
    """Take experiment NAME back to designed, to change its design.

    One commit removes what was scaffolded, run and analyzed from the old design; the branch's history keeps it.
    Without --from the present design is checked and measured again.
    """
    from ckgit.orchestrators.design import draft as design

    lab = lab_from(ctx)
    experiment = experiment_name(lab, name)
    wanted = design.changes_from(changes)
    content, file = read_file(source) if source else (None, f"exp/{experiment}:experiments/{experiment}/experiment_summary.md")
    draft = design.draft_revision(lab, experiment, content, file, wanted)
    warn(draft.warnings)
    finish(draft, dry_run=dry_run, as_json=as_json)
