"""`ckgit advance`: whatever comes next."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import click

from ckgit.cli.completion import clusters
from ckgit.cli.shared.acting import (
    carry_out,
    detach_option,
    left_by,
    no_wait_option,
    refuse_dry_run,
    report,
    report_all,
    take_over_option,
    worst_code,
)
from ckgit.cli.shared.common import dry_run_option, experiment_name, json_option, lab_from
from ckgit.cli.shared.selecting import chosen, experiments_option
from ckgit.cli.shared.subscribers import JsonLines, Terminal, ending
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.state import State
from ckgit.lab.lab import Lab
from ckgit.orchestrators.commands.advance import advance
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.results import AdvanceResult
from ckgit.orchestrators.queries.experiments import to_advance


@click.command("advance")
@experiments_option
@click.option(
    "--to", type=click.Choice([str(state) for state in State]), help="Go on until this state; it is no error to be there already."
)
@click.option("--at", metavar="COMMIT", help="Only where the branch is at this commit, as when somebody has approved that one.")
@no_wait_option
@detach_option
@take_over_option
@click.option("--as", "token", hidden=True, help="Token of the job that --detach left the experiment to, when it is the one that asks.")
@click.option("--sequential", is_flag=True, help="Start no evaluation before all training is done.")
@click.option(
    "--cluster", metavar="NAME", shell_complete=clusters, help="Another cluster profile takes over first; no job may be in flight."
)
@click.option("--accept-missing", is_flag=True, help="Pass a stage with failed jobs; the commit and every report after it name them.")
@click.option("--events", "as_events", is_flag=True, help="Write what happens to standard output, one JSON document a line, instead.")
@click.option("--quiet", is_flag=True, help="Say nothing where nothing happens, for cron; errors are said.")
@dry_run_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    names: tuple[str, ...],
    every: bool,
    states: tuple[str, ...],
    to: str | None,
    at: str | None,
    no_wait: bool,
    detach: bool,
    take_over: bool,
    token: str | None,
    sequential: bool,
    cluster: str | None,
    accept_missing: bool,
    as_events: bool,
    quiet: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Take an experiment to its next state.

    One transition: scaffold, train, evaluate or analyze; where jobs run, submitting them and waiting for them is part of it.
    NAME may be left out where the experiment's branch is checked out. Ctrl-C detaches; the same command comes back to the jobs.
    With --detach, to the report unless --to says otherwise, nobody needs to come back. Several experiments are followed together,
    and SLURM is asked once for all of them. NAME may be a pattern, e.g. 'sweep-*'. Of several, each is worked on, and the exit code is
    the one that most needs a person; two commands that are at the same experiment share its jobs, and who comes second ends with 5.
    """
    lab = lab_from(ctx)
    several = chosen(lab, names, every=every, states=states, busy=to_advance)
    experiments = [experiment_name(lab, next(iter(names), None))] if several is None else several
    options = AdvanceOptions(
        to=State(to) if to else State.ANALYZED if detach else None,
        at=at,
        cluster=cluster,
        wait=not (no_wait or detach),
        accept_missing=accept_missing,
        sequential=sequential,
        detach=detach,
        left_by=left_by(lab) if detach and not token else None,
        take_over=take_over,
        token=token,
    )
    _refuse_contradictions(at, several, events=as_events, other="--dry-run" if dry_run else "--json" if as_json else "")
    refuse_dry_run(several or (), dry_run=dry_run and several is not None)
    if dry_run:
        return carry_out(lab, experiments[0], options, dry_run=True, as_json=as_json)
    terminal = Terminal(experiments, quiet=quiet)
    subscribers = Events(terminal, *([JsonLines()] if as_events else []))
    if several is not None:
        found = _together(lab, several, options, subscribers)
        return worst_code(found) if as_events else report_all(found, as_json=as_json, quiet=quiet)
    result = _alone(lab, experiments[0], options, subscribers)
    code = int(result.code) if as_events or terminal.silent else report(result, as_json=as_json)
    # of a job, whose stand-in would try the same again
    return int(Exit.DONE) if token and code == Exit.JOBS_FAILED else code


def _refuse_contradictions(at: str | None, several: Sequence[str] | None, *, events: bool, other: str) -> None:
    """Refuse options that do not go together.

    Args:
        several: the experiments that are meant; None where it is a single one.
        other: the option that asks for another output than events; empty where none does.
    """
    if at and (several is not None or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", at)):
        what = "--at takes the whole id of a commit, of one experiment"
        raise CkgitError(what, code=Exit.USAGE, state="nothing was done", next="git rev-parse exp/NAME prints it")
    if events and other:
        raise CkgitError(f"--events and {other} each write another output", code=Exit.USAGE, next="leave one of them out")


def _alone(lab: Lab, experiment: str, options: AdvanceOptions, subscribers: Events) -> AdvanceResult:
    """Advance one experiment, and tell how it ended."""
    try:
        result = advance(lab, experiment, options, subscribers)
    except CkgitError as error:
        subscribers.emit(ending(experiment, error))
        raise
    subscribers.emit(ending(experiment, result))
    return result


def _together(
    lab: Lab, experiments: Sequence[str], options: AdvanceOptions, subscribers: Events
) -> Mapping[str, AdvanceResult | CkgitError]:
    """Advance several experiments, and tell how each ended."""
    from ckgit.orchestrators.commands.many import advance_together

    found = advance_together(lab, experiments, options, subscribers)
    for name, each in found.items():
        subscribers.emit(ending(name, each))
    return found
