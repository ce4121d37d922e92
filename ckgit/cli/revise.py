"""`ckgit revise`: an experiment goes back to designed."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ckgit.cli.completion import files
from ckgit.cli.design import finish, read_file, set_option
from ckgit.cli.shared.common import dry_run_option, experiment_name, json_option, lab_from, name_argument, warn


@click.command("revise")
@name_argument
@click.option(
    "--from", "source", metavar="FILE", shell_complete=files, help="The new summary, or the design alone as YAML; - is standard input."
)
@set_option
@click.option(
    "--update", multiple=True, metavar="PATH", help="Take this task, data or card file from the default branch. May be repeated."
)
@click.option("--anew", is_flag=True, help="Keep no results: every job runs again.")
@dry_run_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    name: str | None,
    source: str | None,
    changes: Sequence[str],
    update: Sequence[str],
    *,
    anew: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take experiment NAME back to designed, to change its design.

    Jobs that would leave again what they have left are kept, and need not run: where tasks, scorers, prompts of tasks or the matrix
    change, nothing is trained again; where a run is added, it alone runs. A table shows what is kept, and why the rest runs again.
    All else that was scaffolded, run and analyzed from the old design is removed in the same commit; the branch's history keeps it.
    """
    from ckgit.orchestrators.design.changes import changes_from
    from ckgit.orchestrators.design.draft import draft_revision

    lab = lab_from(ctx)
    experiment = experiment_name(lab, name)
    wanted = changes_from(changes)
    content, file = read_file(source) if source else (None, f"exp/{experiment}:experiments/{experiment}/experiment_summary.md")
    draft = draft_revision(lab, experiment, content, file, wanted, update=update, anew=anew)
    warn(draft.warnings)
    finish(draft, dry_run=dry_run, as_json=as_json)
