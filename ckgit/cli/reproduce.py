"""`ckgit reproduce`: run an experiment's jobs again, and say whether they leave the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from ckgit.cli.completion import clusters, experiments, runs
from ckgit.cli.output.tables import printable
from ckgit.cli.shared.acting import show_plan
from ckgit.cli.shared.common import dry_run_option, emit, experiment_name, json_option, lab_from
from ckgit.cli.shared.subscribers import Terminal
from ckgit.errors import Exit
from ckgit.experiment.reproduction.record import ReproducedJob, Reproduction, Sameness
from ckgit.formats.listing import plural
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.review.reproduce.recorded import one_history
from ckgit.orchestrators.review.reproduce.reproduce import ReproduceOptions, plan, reproduce

if TYPE_CHECKING:
    from ckgit.experiment.outputs.findings import ReproduceDocument


@click.command("reproduce")
@click.argument("name", required=False, shell_complete=experiments)
@click.argument("selected", metavar="[RUN]...", nargs=-1, shell_complete=runs)
@click.option("--cluster", metavar="NAME", shell_complete=clusters, help="Render scripts for this cluster profile, and run those.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Of these runs, or of all, only N that are drawn by chance.")
@dry_run_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    name: str | None,
    selected: tuple[str, ...],
    cluster: str | None,
    sample: int | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Run an experiment's jobs again, and say whether they leave the same.

    Training and evaluation of each RUN, or of all, run again from the scaffold commit, in a new work tree. What they leave is the same in
    its bytes, the same within the tolerance that ckgit.toml states, or different, and where first. That is noted on the commit, and
    `ckgit verify` and `ckgit show` tell of it; the branch stays as it is. Ctrl-C ends the jobs.
    It ends with 9 where something is different, and with 11 where a job has failed this time.
    """
    lab = lab_from(ctx)
    history = one_history(lab, name or experiment_name(lab, None))
    options = ReproduceOptions(selected, sample, cluster)
    if dry_run:
        return show_plan(plan(lab, history, options), as_json=as_json)
    found = reproduce(lab, history, options, Events(Terminal()))
    emit(lambda: _document(found), as_json, "\n".join(_lines(found)))
    return int(_CODES.get(found.sameness, Exit.DONE))


_CODES = {Sameness.DIFFERENT: Exit.NOT_VERIFIED, Sameness.FAILED: Exit.JOBS_FAILED}


def _lines(found: Reproduction) -> Iterator[str]:
    yield f"{found.experiment} at {found.commit[:12]}: {printable(found.in_words)}"
    yield from (f"  {printable(remark)}" for remark in found.remarks)
    for job in found.jobs:
        yield from (f"  {printable(line)}" for line in _job(job))


def _job(job: ReproducedJob) -> Iterator[str]:
    first, *others = job.differences or ("",)
    where = f", first here: {first}" if job.sameness is Sameness.DIFFERENT else f": {first}" if first else ""
    yield f"{job.job}: {job.sameness}{where}" + (f" ({job.compared})" if job.compared else "")
    yield from (f"  {text}" for text in others)
    yield from [f"  and {plural(job.more, 'more difference')}"] if job.more else []
    yield from (f"  not compared: {text}" for text in job.uncompared)
    yield from [f"  otherwise this time: {'; '.join(job.surroundings)}"] if job.surroundings else []


def _document(found: Reproduction) -> ReproduceDocument:
    from ckgit.experiment.outputs.findings import ReproduceDocument

    return ReproduceDocument(**dict(found))
