"""`ckgit retry`: run again what failed."""

from __future__ import annotations

import click

from ckgit.cli.acting import Terminal, no_wait_option, report, run_option, show_preview
from ckgit.cli.common import dry_run_option, experiment_name, json_option, lab_from, name_argument
from ckgit.orchestrators.advance import outcome_of
from ckgit.orchestrators.again import Selection, plan_retry, retry
from ckgit.orchestrators.run import Wish
from ckgit.orchestrators.standing import begin, stand


@click.command("retry")
@name_argument
@run_option
@click.option("--job", metavar="JOB", help="Only this job, e.g. rank8/finetune.")
@no_wait_option
@dry_run_option
@json_option
@click.pass_context
def command(ctx: click.Context, *, name: str | None, run: str | None, job: str | None, no_wait: bool, dry_run: bool, as_json: bool) -> int:
    """Run again what failed.

    Jobs that failed or were cancelled get a new attempt; those that are done are left alone. Then it waits, as advance does.
    """
    lab = lab_from(ctx)
    experiment = experiment_name(lab, name)
    selection = Selection(run, job)
    if dry_run:
        from ckgit.orchestrators.preview import preview_step

        standing = stand(lab, experiment)
        planned = plan_retry(standing, selection)
        return show_preview(preview_step(standing, planned.step, planned.jobs), as_json=as_json)
    return report(
        outcome_of(lab, experiment, retry(begin(lab, experiment), selection, Wish(wait=not no_wait), Terminal())), as_json=as_json
    )
