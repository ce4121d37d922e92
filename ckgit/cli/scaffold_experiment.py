"""`ckgit scaffold-experiment`: from designed to scaffolded."""

from __future__ import annotations

import click

from ckgit.cli.shared.acting import carry_out
from ckgit.cli.shared.common import dry_run_option, experiment_name, json_option, lab_from, name_argument
from ckgit.experiment.design.model import State
from ckgit.orchestrators.engine.options import AdvanceOptions


@click.command("scaffold-experiment")
@name_argument
@dry_run_option
@json_option
@click.pass_context
def command(ctx: click.Context, *, name: str | None, dry_run: bool, as_json: bool) -> int:
    """Write the files for every job.

    It takes a designed experiment to scaffolded: the tools' whole configs and the job scripts.
    """
    lab = lab_from(ctx)
    experiment = experiment_name(lab, name)
    return carry_out(lab, experiment, AdvanceOptions(begins=(State.DESIGNED,)), dry_run=dry_run, as_json=as_json)
