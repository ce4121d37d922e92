"""`ckgit cancel`: end jobs that are not wanted."""

from __future__ import annotations

import click

from ckgit.cli.acting import Terminal, report, run_option, show_preview
from ckgit.cli.common import dry_run_option, experiment_name, json_option, lab_from, name_argument
from ckgit.orchestrators.advance import outcome_of
from ckgit.orchestrators.again import Selection, cancel, plan_cancel
from ckgit.orchestrators.standing import begin, stand


@click.command("cancel")
@name_argument
@run_option
@click.option("--job", metavar="JOB", help="Only this job, e.g. rank8/finetune.")
@dry_run_option
@json_option
@click.pass_context
def command(ctx: click.Context, *, name: str | None, run: str | None, job: str | None, dry_run: bool, as_json: bool) -> int:
    """Cancel the jobs that are queued or running.

    It is recorded first, then done; started again after an interruption, it does the rest. What has ended by itself is left alone.
    """
    lab = lab_from(ctx)
    experiment = experiment_name(lab, name)
    selection = Selection(run, job)
    if dry_run:
        from ckgit.orchestrators.preview import preview_cancel

        standing = stand(lab, experiment)
        return show_preview(preview_cancel(standing, plan_cancel(standing, selection)), as_json=as_json)
    return report(outcome_of(lab, experiment, cancel(begin(lab, experiment), selection, Terminal())), as_json=as_json)
