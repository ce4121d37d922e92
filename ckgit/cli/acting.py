"""What the commands share that move an experiment on: how they speak while they work, and what they print at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ckgit.cli.common import emit, note
from ckgit.cli.completion import runs
from ckgit.cli.errors import as_document, without_secrets
from ckgit.cli.streams import fresh_line
from ckgit.errors import CkgitError, Exit
from ckgit.formats.listing import LINES, first_of, in_words
from ckgit.orchestrators.engine.experiment import RecordedCommit
from ckgit.orchestrators.engine.results import AdvanceResult

if TYPE_CHECKING:
    from ckgit.orchestrators.commands.dry_run import DryRun, WouldSubmit

F = TypeVar("F", bound=Callable[..., Any])


def no_wait_option(function: F) -> F:
    """Add `--no-wait`, handed over as the keyword `no_wait`."""
    return click.option("--no-wait", is_flag=True, help="Return once jobs are submitted (exit code 10 while they are in flight).")(function)


def detach_option(function: F) -> F:
    """Add `--detach`, handed over as the keyword `detach`."""
    text = "Leave the rest to the cluster: a small job goes on when these have ended, until the report is there (not on local)."
    return click.option("--detach", is_flag=True, help=text)(function)


def run_option(function: F) -> F:
    """Add `--run`, handed over as the keyword `run`."""
    return click.option("--run", metavar="RUN", shell_complete=runs, help="Only the jobs of this run.")(function)


def report(result: AdvanceResult, *, as_json: bool) -> int:
    """Print what a command came to; returns its exit code."""
    if as_json:
        emit(_document(result), as_json=True, text="")
    else:
        _tell(result)
    return int(result.code)


def report_all(ended: Mapping[str, AdvanceResult | CkgitError], *, as_json: bool) -> int:
    """Print what each of several experiments came to; returns the first exit code that is not 0."""
    ended = {name: without_secrets(each) if isinstance(each, CkgitError) else each for name, each in ended.items()}
    if as_json:
        errors = {name: {"experiment": name, "error": as_document(each)} for name, each in ended.items() if isinstance(each, CkgitError)}
        documents = {name: _document(each) for name, each in ended.items() if isinstance(each, AdvanceResult)}
        emit([errors.get(name) or documents[name] for name in ended], as_json=True, text="")
    else:
        if any(each.code is Exit.INTERRUPTED for each in ended.values()):
            fresh_line()
        for name, each in ended.items():
            if isinstance(each, AdvanceResult):
                _tell(each)
            else:
                note(f"ckgit: {name}: {each}")
    return first_code(ended)


def first_code(ended: Mapping[str, AdvanceResult | CkgitError]) -> int:
    """The first exit code that is not 0."""
    return next((int(each.code) for each in ended.values() if each.code is not Exit.DONE), int(Exit.DONE))


def _tell(result: AdvanceResult) -> None:
    if result.code is Exit.DONE:
        emit(None, as_json=False, text="\n".join([result.message, *([f"next: {result.next}"] if result.next else [])]))
    else:
        ended = CkgitError(result.message, code=result.code, where=result.experiment, state=f"it is {result.state}", next=result.next)
        note(f"ckgit: {ended}")


def show_preview(preview: DryRun, *, as_json: bool) -> int:
    """Print what a command would do."""
    document = {
        "experiment": preview.experiment,
        "state": preview.state,
        "submit": [job.document() for job in preview.submit],
        "commit": preview.commit,
        "remarks": list(preview.remarks),
    }
    emit(document, as_json, "\n".join([*_would_submit(preview.submit), *first_of(preview.remarks), *_would_commit(preview.commit)]))
    return int(Exit.DONE)


def _would_submit(submissions: Sequence[WouldSubmit]) -> Iterator[str]:
    """The exact commands, what the scheduler says to them, and the first job's script; the others differ in names and numbers."""
    for number, one in enumerate(submissions[:LINES]):
        yield f"would submit {in_words(one.jobs)}: {one.command}"
        yield from [f"  {one.answer}"] if one.answer else []
        yield from (f"  | {line}" for line in one.scripts[0].splitlines()) if not number else ()
    if others := sum(len(one.jobs) for one in submissions[LINES:]):
        yield f"and would submit {others:,} more"
    if (count := sum(len(one.scripts) for one in submissions)) > 1:
        yield f"the scripts of the other {count - 1:,} are in --json"


def _would_commit(text: str) -> Iterator[str]:
    """The message, and the paths that are written: those of a large experiment are counted."""
    for is_path, lines in groupby(text.rstrip("\n").splitlines(), key=lambda line: line.startswith(("  write  ", "  delete "))):
        yield from (f"  {line}" for line in first_of((line.strip() for line in lines), more="more files")) if is_path else lines


def _document(result: AdvanceResult) -> dict[str, Any]:
    return {
        "experiment": result.experiment,
        "state": result.state,
        "code": int(result.code),
        "name": result.code.name.lower(),
        "message": result.message,
        "next": result.next,
        "commits": [_commit(taken) for taken in result.commits],
    }


def _commit(taken: RecordedCommit) -> dict[str, Any]:
    return {"commit": taken.commit, "event": taken.event, "from": taken.source, "to": taken.target}
