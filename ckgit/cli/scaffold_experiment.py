"""`ckgit scaffold-experiment`: from designed to scaffolded."""

from __future__ import annotations

import click

from ckgit.cli.acting import report, show_preview
from ckgit.cli.common import dry_run_option, experiment_name, json_option, lab_from, name_argument
from ckgit.cli.subscribers import Terminal
from ckgit.experiment.design.model import State
from ckgit.orchestrators.commands.advance import final_result, require, transition
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import open_experiment, open_for_update
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.polling import run_to_end


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
    view = open_experiment(lab, experiment) if dry_run else open_for_update(lab, experiment, Events(Terminal()))
    require(view, State.DESIGNED)
    if dry_run:
        from ckgit.orchestrators.commands.dry_run import preview

        return show_preview(preview(view, AdvanceOptions(), None), as_json=as_json)
    return report(final_result(lab, experiment, run_to_end(transition(view, AdvanceOptions(), Events(Terminal())))), as_json=as_json)
