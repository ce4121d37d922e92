"""`ckgit retry`: run again what failed."""

from __future__ import annotations

import click
from pydantic import ValidationError

from ckgit.cli.completion import failed_jobs
from ckgit.cli.shared.acting import carry_out, carry_out_all, detach_option, left_by, no_wait_option, run_option, take_over_option
from ckgit.cli.shared.common import dry_run_option, experiment_name, json_option, lab_from, note
from ckgit.cli.shared.selecting import chosen, experiments_option
from ckgit.experiment.design.compute import Resources
from ckgit.experiment.state import State
from ckgit.orchestrators.design.inputs.stale import newer_inputs
from ckgit.orchestrators.engine.options import AdvanceOptions, RetryOptions, Selection
from ckgit.orchestrators.queries.experiments import to_retry


@click.command("retry")
@experiments_option
@run_option
@click.option("--job", metavar="JOB", shell_complete=failed_jobs, help="Only this job, e.g. rank8/finetune.")
@click.option("--time", metavar="HH:MM:SS", help="Time limit of the new attempts, instead of the design's.")
@click.option("--mem", metavar="SIZE", help="Memory of the new attempts, e.g. 32G.")
@click.option("--gpus", type=click.IntRange(min=0), help="GPUs of the new attempts.")
@no_wait_option
@detach_option
@take_over_option
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
    time: str | None,
    mem: str | None,
    gpus: int | None,
    no_wait: bool,
    detach: bool,
    take_over: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Run again what failed.

    Jobs that failed or were cancelled get a new attempt; those that are done are left alone. Then it waits, as advance does.
    Other resources are recorded with the attempt; what is compared never changes.
    A training that ran out of memory gets half the batch and twice the accumulation, where the design says
    compute.on_out_of_memory: smaller_batch; more memory (--mem) is asked for instead. A distributed training gets other --gpus only
    where each optimizer step can see the same rows. NAME may be a pattern, e.g. 'sweep-*'; several are followed together.
    """
    lab = lab_from(ctx)
    several = chosen(lab, names, every=every, states=states, busy=to_retry)
    again = RetryOptions(Selection(run, job), _resources(time=time, mem=mem, gpus=gpus))
    to = State.ANALYZED if detach else None
    by, wait = left_by(lab) if detach else None, not (no_wait or detach)
    options = AdvanceOptions(to=to, retry=again, wait=wait, detach=detach, left_by=by, take_over=take_over)
    if several is None:
        name = experiment_name(lab, next(iter(names), None))
        for text in newer_inputs(lab, name):
            note(f"note: {text}")
        return carry_out(lab, name, options, dry_run=dry_run, as_json=as_json)
    return carry_out_all(lab, several, options, dry_run=dry_run, as_json=as_json)


def _resources(**given: str | int | None) -> Resources:
    """What was asked for on the command line."""
    try:
        return Resources.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        problem = error.errors()[0]
        raise click.BadParameter(problem["msg"].removeprefix("Value error, "), param_hint=f"--{problem['loc'][0]}") from None
