"""`ckgit cancel`: end jobs that are not wanted."""

from __future__ import annotations

import click

from ckgit.cli.completion import open_jobs
from ckgit.cli.shared.acting import refuse_dry_run, report, report_all, run_option, show_plan
from ckgit.cli.shared.common import dry_run_option, experiment_name, json_option, lab_from, sentence
from ckgit.cli.shared.selecting import chosen, experiments_option
from ckgit.cli.shared.subscribers import Terminal
from ckgit.errors import CkgitError, Exit
from ckgit.lab.lab import Lab
from ckgit.orchestrators.commands.cancel import cancel, plan_cancel, show
from ckgit.orchestrators.commands.observe_cancel import observe_cancel
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.options import Selection
from ckgit.orchestrators.engine.partial_view import open_partially
from ckgit.orchestrators.engine.results import AdvanceResult
from ckgit.orchestrators.queries.experiments import to_cancel

_LONGEST = 300  # characters of a reason


@click.command("cancel")
@experiments_option
@run_option
@click.option(
    "--job", metavar="JOB", shell_complete=open_jobs, help="Only this job, e.g. rank8/finetune; by its token one that is not in the ledger."
)
@click.option("--lost", is_flag=True, help="Declare open jobs lost that nobody can ask any more: their machine or work tree is gone.")
@click.option("--because", metavar="TEXT", help="With --lost: why, in a sentence that is committed.")
@dry_run_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    names: tuple[str, ...],
    every: bool,
    states: tuple[str, ...],
    run: str | None,
    job: str | None,
    lost: bool,
    because: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Cancel the jobs that are queued or running.

    It is recorded first, then done; started again after an interruption, it does the rest. What has ended by itself is left alone.
    Jobs that cannot be ended from here are not recorded as cancelled. Those that nobody can ask any more are declared lost, with
    --lost --because '...'; a job that is seen to run is not. What is declared lost and runs nevertheless may run beside its retry.
    Without --run and --job it also ends jobs whose ledger the branch lost when it was reset or deleted (`git branch -f`, `-D`).
    NAME may be a pattern, e.g. 'sweep-*'.
    """
    lab = lab_from(ctx)
    several = chosen(lab, names, every=every, states=states, busy=to_cancel)
    selection, why = Selection(run, job), _because(because, lost=lost)
    refuse_dry_run(several or (), dry_run=dry_run and several is not None)
    if several is not None:
        return report_all({name: _tried(lab, name, selection, why) for name in several}, as_json=as_json)
    experiment = experiment_name(lab, next(iter(names), None))
    if dry_run:
        return show_plan(show(plan_cancel(observe_cancel(open_partially(lab, experiment), selection, why))), as_json=as_json)
    return report(_cancelled(lab, experiment, selection, why), as_json=as_json)


def _cancelled(lab: Lab, name: str, selection: Selection, why: str) -> AdvanceResult:
    events = Events(Terminal())
    found = open_partially(lab, name, events)
    done = cancel(found, selection, events, why)
    state = found.snapshot.state if found.snapshot else None
    return AdvanceResult(name, state, Exit.DONE, done.taken, done.message, done.next)


def _tried(lab: Lab, name: str, selection: Selection, why: str) -> AdvanceResult | CkgitError:
    """One of several: what stops it stops no other."""
    try:
        return _cancelled(lab, name, selection, why)
    except CkgitError as error:
        return error


def _because(text: str | None, *, lost: bool) -> str:
    """Why jobs are declared lost; empty where they are cancelled.

    Raises:
        CkgitError: USAGE, one option without the other, or the text is no sentence.
    """
    why = sentence(text, _LONGEST)
    if lost and why:
        return why
    if not lost and text is None:
        return ""
    what = "--because is for --lost" if not lost else f"--lost needs --because with a sentence of at most {_LONGEST} characters"
    raise CkgitError(what, code=Exit.USAGE, state="nothing was changed", next="ckgit cancel NAME --lost --because 'node7 is no more'")
