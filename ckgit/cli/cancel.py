"""`ckgit cancel`: end jobs that are not wanted."""

from __future__ import annotations

import click

from ckgit.cli.acting import report, run_option, show_plan
from ckgit.cli.common import dry_run_option, experiment_name, json_option, lab_from, name_argument
from ckgit.cli.completion import open_jobs
from ckgit.cli.subscribers import Terminal
from ckgit.errors import Exit
from ckgit.orchestrators.commands.cancel import cancel, plan_cancel, show
from ckgit.orchestrators.commands.observe_cancel import observe_cancel
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.options import Selection
from ckgit.orchestrators.engine.partial_view import open_partially
from ckgit.orchestrators.engine.results import AdvanceResult


@click.command("cancel")
@name_argument
@run_option
@click.option(
    "--job", metavar="JOB", shell_complete=open_jobs, help="Only this job, e.g. rank8/finetune; by its token one that is not in the ledger."
)
@dry_run_option
@json_option
@click.pass_context
def command(ctx: click.Context, *, name: str | None, run: str | None, job: str | None, dry_run: bool, as_json: bool) -> int:
    """Cancel the jobs that are queued or running.

    It is recorded first, then done; started again after an interruption, it does the rest. What has ended by itself is left alone.
    Without --run and --job it also ends jobs whose ledger the branch lost when it was reset or deleted (`git branch -f`, `-D`).
    """
    lab = lab_from(ctx)
    experiment = experiment_name(lab, name)
    selection = Selection(run, job)
    found = open_partially(lab, experiment, None if dry_run else Events(Terminal()))
    if dry_run:
        return show_plan(show(plan_cancel(observe_cancel(found, selection))), as_json=as_json)
    done = cancel(found, selection, Events(Terminal()))
    state = found.snapshot.state if found.snapshot else None
    return report(AdvanceResult(experiment, state, Exit.DONE, done.taken, done.message, done.next), as_json=as_json)
