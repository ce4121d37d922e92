"""`ckgit run-experiment`: from scaffolded to evaluated."""

from __future__ import annotations

import click

from ckgit.cli.shared.acting import carry_out, no_wait_option
from ckgit.cli.shared.common import dry_run_option, experiment_name, json_option, lab_from, name_argument
from ckgit.experiment.stage import STAGES
from ckgit.experiment.state import State
from ckgit.orchestrators.engine.options import AdvanceOptions


@click.command("run-experiment")
@name_argument
@no_wait_option
@click.option("--accept-missing", is_flag=True, help="Pass a stage with failed jobs; the commit and every report after it name them.")
@dry_run_option
@json_option
@click.pass_context
def command(ctx: click.Context, *, name: str | None, no_wait: bool, accept_missing: bool, dry_run: bool, as_json: bool) -> int:
    """Run the jobs of training and evaluation.

    It takes a scaffolded experiment to evaluated, or as far as its jobs are.
    """
    lab = lab_from(ctx)
    experiment = experiment_name(lab, name)
    options = AdvanceOptions(to=State.EVALUATED, begins=tuple(STAGES), wait=not no_wait, accept_missing=accept_missing)
    return carry_out(lab, experiment, options, dry_run=dry_run, as_json=as_json)
