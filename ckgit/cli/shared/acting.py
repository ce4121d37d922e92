"""What the commands share that move an experiment on: how they speak while they work, and what they print at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ckgit.cli.completion import runs
from ckgit.cli.errors import masked_error
from ckgit.cli.output.streams import fresh_line, say
from ckgit.cli.shared.common import emit, note, print_document
from ckgit.cli.shared.subscribers import Terminal
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.classify import classify
from ckgit.experiment.jobs import LeftBy
from ckgit.formats.advice import commands
from ckgit.formats.listing import LINES, first_of, in_words
from ckgit.lab.git.branch import author
from ckgit.lab.lab import Lab
from ckgit.orchestrators.commands.advance import advance
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.results import AdvanceResult

if TYPE_CHECKING:
    from ckgit.experiment.outputs.outcomes import OutcomeDocument, OutcomesDocument
    from ckgit.experiment.outputs.planned import PlannedCommit, PlannedStep, PlannedSubmission

F = TypeVar("F", bound=Callable[..., Any])


def no_wait_option(function: F) -> F:
    """Add `--no-wait`, handed over as the keyword `no_wait`."""
    return click.option("--no-wait", is_flag=True, help="Return once jobs are submitted (exit code 10 while they are in flight).")(function)


def detach_option(function: F) -> F:
    """Add `--detach`, handed over as the keyword `detach`."""
    text = "Leave the rest to the cluster: a small job goes on when these have ended, until the report is there (not on local)."
    return click.option("--detach", is_flag=True, help=text)(function)


def take_over_option(function: F) -> F:
    """Add `--take-over`, handed over as the keyword `take_over`."""
    text = "Go on in the place of the job that the experiment was left to by --detach."
    return click.option("--take-over", is_flag=True, help=text)(function)


_CI_USERS = ("GITHUB_ACTOR", "GITLAB_USER_LOGIN")  # who started what runs in CI, where git knows only CI itself


def left_by(lab: Lab) -> LeftBy | None:
    """Who it is that leaves an experiment to its cluster now; None where git does not know, and so will commit nothing either."""
    user, started = author(lab.root), next(filter(None, map(os.environ.get, _CI_USERS)), None)
    if user and os.environ.get("CI"):
        user += f" (in CI{f', started by {started}' if started else ''})"
    return LeftBy(user=user, since=now(), host=os.uname().nodename) if user else None


def run_option(function: F) -> F:
    """Add `--run`, handed over as the keyword `run`."""
    return click.option("--run", metavar="RUN", shell_complete=runs, help="Only the jobs of this run.")(function)


def report(result: AdvanceResult, *, as_json: bool) -> int:
    """Print what a command came to; returns its exit code."""
    if as_json:
        print_document(_document(result))
    else:
        _tell(result)
    return int(result.code)


def report_all(ended: Mapping[str, AdvanceResult | CkgitError], *, as_json: bool, quiet: bool = False) -> int:
    """Print what each of several experiments came to; returns the exit code that most needs a person.

    Args:
        quiet: leave out those for which nothing has happened.
    """
    ended = {name: masked_error(each) if isinstance(each, CkgitError) else each for name, each in ended.items()}
    if as_json:
        print_document(_document_of_all(ended))
        return worst_code(ended)
    if any(each.code is Exit.INTERRUPTED for each in ended.values()):
        fresh_line()
    for name, each in ended.items():
        if isinstance(each, CkgitError):
            note(f"ckgit: {name}: {each}")
        elif each.commits or not quiet:
            _tell(each)
    if not ended and not quiet:
        note("nothing to do: no experiment is left of those that are meant")
    return worst_code(ended)


# Of several experiments, the first of these that one of them came to: what most needs a person stands first.
_WORST = (
    *(Exit.BUG, Exit.INTERRUPTED, Exit.JOBS_FAILED, Exit.EVIDENCE_MISSING, Exit.INVALID_DESIGN, Exit.TOOL_MISSING, Exit.COMMAND_FAILED),
    *(Exit.USAGE, Exit.ILLEGAL_TRANSITION, Exit.BRANCH_MOVED, Exit.UNKNOWN, Exit.IN_FLIGHT, Exit.DONE),
)


def worst_code(ended: Mapping[str, AdvanceResult | CkgitError]) -> int:
    """The exit code of a command about several experiments, whatever their order."""
    return int(min((each.code for each in ended.values()), key=_WORST.index, default=Exit.DONE))


def _tell(result: AdvanceResult) -> None:
    if result.code is Exit.DONE:
        say("\n".join([result.message, *([f"next: {result.next}"] if result.next else [])]))
    else:
        ended = CkgitError(result.message, code=result.code, where=result.experiment, state=f"it is {result.state}", next=result.next)
        note(f"ckgit: {ended}")


def carry_out(lab: Lab, name: str, options: AdvanceOptions, *, dry_run: bool, as_json: bool) -> int:
    """Move an experiment on and print what that came to, or show what would be done; returns the exit code."""
    if dry_run:
        from ckgit.orchestrators.commands.dry_run import dry_run as plan

        return show_plan(plan(lab, name, options), as_json=as_json)
    return report(advance(lab, name, options, Events(Terminal())), as_json=as_json)


def carry_out_all(lab: Lab, names: Sequence[str], options: AdvanceOptions, *, dry_run: bool, as_json: bool) -> int:
    """Move several experiments on and print what each came to; returns the exit code."""
    refuse_dry_run(names, dry_run=dry_run)
    from ckgit.orchestrators.commands.many import advance_together

    return report_all(advance_together(lab, names, options, Events(Terminal(names))), as_json=as_json)


def refuse_dry_run(names: Sequence[str], *, dry_run: bool) -> None:
    """Raise where a dry run is asked for of several experiments.

    Raises:
        CkgitError: USAGE.
    """
    if dry_run:
        next_ = f"name one: {in_words(names)}" if names else "name one; ckgit list shows them"
        raise CkgitError("--dry-run shows one experiment at a time", code=Exit.USAGE, state="nothing was done", next=next_)


def show_plan(step: PlannedStep, *, as_json: bool) -> int:
    """Print what a command would do."""
    commits = (line for commit in step.commits for line in _would_commit(commit))
    lines = [*_would_submit(step.submissions), *first_of(step.remarks), *commits]
    emit(lambda: step, as_json, "\n".join(lines))
    return int(Exit.DONE)


def _would_submit(submissions: Sequence[PlannedSubmission]) -> Iterator[str]:
    """The exact commands, what the scheduler says to them, and the first job's script; the others differ in names and numbers."""
    for number, one in enumerate(submissions[:LINES]):
        yield f"would submit {in_words(one.jobs)}: {one.command}"
        yield from [f"  {one.answer}"] if one.answer else []
        yield from (f"  | {line}" for line in one.scripts[0].splitlines()) if not number else ()
    if others := sum(len(one.jobs) for one in submissions[LINES:]):
        yield f"and would submit {others:,} more"
    if (count := sum(len(one.scripts) for one in submissions)) > 1:
        yield f"the scripts of the other {count - 1:,} are in --json"


def _would_commit(commit: PlannedCommit) -> Iterator[str]:
    """The message, and the paths that are written: those of a large experiment are counted."""
    head, *files = [list(lines) for _, lines in groupby(commit.lines(), key=lambda line: line.startswith(("  write  ", "  delete ")))]
    yield from head
    yield from (f"  {line}" for line in first_of((line.strip() for each in files for line in each), more="more files"))


def _document(result: AdvanceResult) -> OutcomeDocument:
    from ckgit.experiment.outputs.outcomes import OutcomeDocument

    return OutcomeDocument(**_outcome(result))


def _document_of_all(ended: Mapping[str, AdvanceResult | CkgitError]) -> OutcomesDocument:
    from ckgit.experiment.outputs.outcomes import ErrorOutcome, Outcome, OutcomesDocument
    from ckgit.experiment.outputs.refusals import ErrorReport

    each = (
        ErrorOutcome(experiment=name, error=ErrorReport.of(found)) if isinstance(found, CkgitError) else Outcome(**_outcome(found))
        for name, found in ended.items()
    )
    return OutcomesDocument(experiments=tuple(each))


def _outcome(result: AdvanceResult) -> dict[str, Any]:
    """What an `Outcome` says of a result."""
    from ckgit.experiment.outputs.outcomes import FailedJob, TakenCommit

    commits = [TakenCommit(commit=each.commit, records=each.event, source=each.source, target=each.target) for each in result.commits]
    return {
        "experiment": result.experiment,
        "lifecycle_state": result.state,
        "code": int(result.code),
        "code_name": result.code.name.lower(),
        "message": result.message,
        "advice": result.next,
        "next": tuple(commands(result.next)),
        "commits": tuple(commits),
        "failed": tuple(FailedJob.of(attempt, classify(attempt)) for attempt in result.failed),
    }
