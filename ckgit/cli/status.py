"""`ckgit status`: where an experiment stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from ckgit.cli.output.others import over
from ckgit.cli.output.tables import printable, room_of_terminal, wrapped
from ckgit.cli.shared.common import emit, experiment_name, json_option, lab_from, name_argument
from ckgit.experiment.classify import counted, left_by_in_words, named
from ckgit.formats.advice import commands
from ckgit.formats.listing import first_of, in_words
from ckgit.formats.times import local, utc
from ckgit.orchestrators.engine.orphans import Orphan, listed
from ckgit.orchestrators.queries.overview import ClassifiedJob, LeftTo, Overview
from ckgit.orchestrators.queries.status import overview

if TYPE_CHECKING:
    from ckgit.experiment.outputs.events import OverallProgress
    from ckgit.experiment.outputs.standing import ContinuingJob, OpenJob, StatusDocument

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
    emit(lambda: _document(found), as_json, "\n".join(_lines(found)))


def _document(found: Overview) -> StatusDocument:
    from ckgit.experiment.outputs.fields import Closed
    from ckgit.experiment.outputs.outcomes import FailedJob
    from ckgit.experiment.outputs.standing import ConditionCounts, EditedFile, RemovedFromDisk, StageCounts, StatusDocument, UnlistedJob

    by_stage = {stage: Counter(job.condition for job in jobs) for stage, jobs in found.stages().items()}
    stages = (StageCounts(stage=stage, total=counts.total(), conditions=counts) for stage, counts in by_stage.items())
    totals = Counter(job.condition for job in found.jobs)
    return StatusDocument(
        experiment=found.experiment,
        lifecycle_state=found.state,
        commit=found.commit,
        time=utc(found.time),
        records=found.event,
        closed=Closed.of(found.closing),
        kept=found.kept,
        cluster=found.cluster,
        scheduler=found.scheduler,
        work_tree=found.work_tree,
        stages=tuple(stages),
        totals=ConditionCounts(total=totals.total(), conditions=totals),
        open=tuple(map(_open_job, found.open)),
        failed=tuple(FailedJob.of(job.attempt, job.condition) for job in found.failed),
        progress=found.progress,
        left_to=_continuing(found.left_to, found.cluster or "") if found.left_to else None,
        accepted_missing=tuple(found.accepted_missing),
        cells={job: dict(cells) for job, cells in found.cells.items()},
        removed=RemovedFromDisk(**found.removed._asdict()) if found.removed else None,
        unknown_jobs=tuple(UnlistedJob(**_unlisted(each)) for each in found.unknown_jobs),
        broken=found.broken,
        by_hand=found.by_hand,
        edited=tuple(EditedFile(**each._asdict()) for each in found.edited),
        problem=found.problem,
        ahead=tuple(found.ahead),
        rewritten=found.rewritten,
        advice=found.next,
        next=tuple(commands(found.next)),
    )


def _continuing(left: LeftTo, cluster: str) -> ContinuingJob:
    from ckgit.experiment.jobs import LeftBy
    from ckgit.experiment.outputs.standing import ContinuingJob

    by = LeftBy(**left.left_by._asdict()) if left.left_by else None
    return ContinuingJob(token=left.token, cluster=cluster, left_by=by, **left.now._asdict())


def _open_job(job: ClassifiedJob) -> OpenJob:
    from ckgit.experiment.outputs.standing import OpenJob

    tried, now = job.attempt, job.now
    return OpenJob(
        job=tried.job,
        stage=tried.stage,
        condition=job.condition,
        attempt=tried.number,
        token=tried.token,
        seen=now.seen if now else None,
        detail=now.detail if now else "",
    )


def _unlisted(job: Orphan) -> dict[str, Any]:
    return job._asdict() | {"work": str(job.work), "commit": job.commit or None}


def _lines(found: Overview) -> Iterator[str]:
    last = f", last event: {found.event}" if found.event else ""
    yield f"{found.experiment}: {found.state} (commit {found.commit[:12]} of {local(found.time)}{last})"
    yield from (wrapped(f"  {line}", 4) for line in over(found.closing, found.kept))
    for stage, jobs in found.stages().items():
        yield f"  {stage:<12}{counted(job.condition for job in jobs)}"
    if found.progress:
        yield from (f"  {line}" for line in _progress(found.progress))
    if found.left_to:
        yield f"  {_left_to(found.left_to, found.work_tree or '')}"
        yield f"  {printable(left_by_in_words(found.left_to.left_by))}"
    failed = [f"{each.condition}: {each.attempt.job}: {printable(each.attempt.reason or 'no reason is known')}" for each in found.failed]
    yield from (wrapped(f"  {line}", 4) for line in first_of(failed, _MOST, more="more that failed"))
    missing = [f"accepted as missing: {job}{_cells(found.cells.get(job, {}))}" for job in found.accepted_missing]
    yield from (f"  {line}" for line in first_of(missing, _MOST, more="more that were accepted as missing"))
    yield from _beside(found)
    if detail := next((each.now.detail for each in found.open if each.now and each.now.detail), ""):
        yield wrapped(f"  {printable(detail)}", 4)
    if found.removed:
        again = f"to train again: ckgit reproduce {found.experiment}"
        yield wrapped(f"  {found.removed.in_words} (commit {found.removed.commit[:12]}); {again}", 4)
    if found.work_tree:
        yield f"  cluster {found.cluster}, work tree {printable(found.work_tree)}"
    yield f"next: {found.next}"


def _progress(found: OverallProgress) -> list[str]:
    """The whole, and each running job."""
    from ckgit.cli.output.progress import headline, lines

    room = room_of_terminal()
    return [headline(found), *first_of(lines(found, room and room - 2), more="more that run")]


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
    yield from (wrapped(f"  {line}", 4) for line in found.ahead)
    if found.rewritten:
        yield f"  rewritten since ckgit left it at {found.rewritten[:12]}, which is kept when ckgit goes on"


def _cells(cells: Mapping[str, str]) -> str:
    """`: a_epoch0 (4 of its 5 cells count)`; nothing where the job has one cell, or none was made."""
    lacking = [cell for cell, why in cells.items() if why]
    return f": {', '.join(lacking)} ({len(cells) - len(lacking)} of its {len(cells)} cells count)" if cells else ""


def _left_to(job: LeftTo, work_tree: str) -> str:
    """Who goes on, or that nobody does."""
    if job.now.seen in {"unseen", "gone"}:
        output = printable(f"{work_tree}/.ckgit/jobs/{job.token}/output")
        return f"left to job {job.token}, which does not go on any more; what it said is in {output}"
    return f"left to job {job.token} ({named(job.now.seen)}), which goes on when the others have ended"
