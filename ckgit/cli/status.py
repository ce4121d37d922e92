"""`ckgit status`: where an experiment stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import click

from ckgit.cli.common import emit, experiment_name, json_option, lab_from, name_argument, printable
from ckgit.formats.listing import first_of, in_words
from ckgit.orchestrators.engine.orphans import listed
from ckgit.orchestrators.queries.status import SUBMITTED, OpenJob, Overview, overview

_MOST = 5  # jobs that are named


@click.command("status")
@name_argument
@json_option
@click.pass_context
def command(ctx: click.Context, *, name: str | None, as_json: bool) -> None:
    """Show where an experiment stands.

    Its state, its jobs by stage, and the command that comes next. Jobs that are out are looked at where they run.
    """
    lab = lab_from(ctx)
    found = overview(lab, experiment_name(lab, name))
    emit(_document(found), as_json, "\n".join(_lines(found)))


def _document(found: Overview) -> dict[str, Any]:
    lists: dict[str, Any] = {
        "edited": [each._asdict() for each in found.edited],
        "unknown_jobs": [each._asdict() | {"work": str(each.work)} for each in found.unknown_jobs],
        "open": [each._asdict() for each in found.open],
        "left_to": found.left_to._asdict() if found.left_to else None,
        "failed": [each._asdict() for each in found.failed],
    }
    return found._asdict() | lists


def _lines(found: Overview) -> Iterator[str]:
    last = f", last event: {found.event}" if found.event else ""
    yield f"{found.experiment}: {found.state} (commit {found.commit[:12]}{last})"
    for stage, phases in found.stages.items():
        yield f"  {stage:<12}{_counted(found, stage, phases)}"
    if found.left_to:
        yield f"  {_left_to(found.left_to, found.work_tree or '')}"
    failed = [f"{each.phase}: {each.job}: {printable(each.reason or 'no reason is known')}" for each in found.failed]
    yield from (f"  {line}" for line in first_of(failed, _MOST, more="more that failed"))
    missing = [f"accepted as missing: {job}{_cells(found.cells.get(job, {}))}" for job in found.accepted_missing]
    yield from (f"  {line}" for line in first_of(missing, _MOST, more="more that were accepted as missing"))
    yield from _beside(found)
    if detail := next((each.detail for each in found.open if each.detail), ""):
        yield f"  {printable(detail)}"
    if found.work_tree:
        yield f"  cluster {found.cluster}, work tree {printable(found.work_tree)}"
    yield f"next: {found.next}"


def _beside(found: Overview) -> Iterator[str]:
    """What the branch itself does not tell."""
    if found.unknown_jobs:
        count = f"{len(found.unknown_jobs)} job{'s' if len(found.unknown_jobs) > 1 else ''}"
        yield f"  {count} not in the ledger of the branch may still run: {printable(listed(found.unknown_jobs))}"
    if found.broken:
        yield f"  broken: {printable(found.broken)}"
    if found.edited:
        yield f"  not as ckgit wrote them: {printable(in_words(map(str, found.edited), _MOST))}"
    elif found.by_hand:
        others = "the other files" if found.problem else "the files"
        yield f"  the last commit was made by hand; {others} that ckgit wrote are as it left them"
    if found.problem:
        yield from (f"  {printable(line)}" for line in found.problem.splitlines())
    if found.rewritten:
        yield f"  rewritten since ckgit left it at {found.rewritten[:12]}, which is kept when ckgit goes on"


def _cells(cells: Mapping[str, str]) -> str:
    """`: a_epoch0 (4 of its 5 cells count)`; nothing where the job has one cell, or none was made."""
    lacking = [cell for cell, why in cells.items() if why]
    return f": {', '.join(lacking)} ({len(cells) - len(lacking)} of its {len(cells)} cells count)" if cells else ""


def _left_to(job: OpenJob, work_tree: str) -> str:
    """Who goes on, or that nobody does."""
    if job.seen in {"unseen", "gone"}:
        output = printable(f"{work_tree}/.ckgit/jobs/{job.token}/output")
        return f"left to job {job.token}, which does not go on any more; what it said is in {output}"
    return f"left to job {job.token} ({_words(job.seen)}), which goes on when the others have ended"


def _counted(found: Overview, stage: str, phases: Mapping[str, int]) -> str:
    """`3 of 8 done, 2 running, 3 queued`: what is out by what the scheduler says of it."""
    counts = Counter({phase: count for phase, count in phases.items() if phase not in ("done", SUBMITTED)})
    if phases.get(SUBMITTED):
        counts.update(_words(each.seen) for each in found.open if each.stage == stage)
    return ", ".join([f"{phases.get('done', 0)} of {sum(phases.values())} done", *(f"{count} {phase}" for phase, count in counts.items())])


def _words(seen: str) -> str:
    return {"unseen": "not handed over yet", "gone": "ended and not collected yet", "unknown": "unknown"}.get(seen, seen)
