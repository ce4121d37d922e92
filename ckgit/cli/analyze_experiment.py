"""`ckgit analyze-experiment`: from evaluated to analyzed."""

from __future__ import annotations

import click

from ckgit.cli.shared.acting import carry_out
from ckgit.cli.shared.common import dry_run_option, experiment_name, json_option, lab_from, name_argument
from ckgit.experiment.state import State
from ckgit.orchestrators.engine.options import AdvanceOptions


@click.command("analyze-experiment")
@name_argument
@dry_run_option
@json_option
@click.pass_context
def command(ctx: click.Context, *, name: str | None, dry_run: bool, as_json: bool) -> int:
    """Read the logs and write the report.

    It takes an evaluated experiment to analyzed: analysis/report.md, results.json and pictures. Of one that is analyzed, they are
    written anew where this ckgit writes them otherwise; nothing is committed where not a byte would change.
    """
    lab = lab_from(ctx)
    experiment = experiment_name(lab, name)
    return carry_out(lab, experiment, AdvanceOptions(begins=(State.EVALUATED, State.ANALYZED)), dry_run=dry_run, as_json=as_json)
