"""scaffold-experiment: every file for every job, rendered by the workers.

Pure: the same design, cluster profile, cards and version give the same bytes, so the logs here hold no times and no places.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.checks.problems import unrecorded
from ckgit.experiment.cluster import PROFILE, RenderedProfile, place
from ckgit.experiment.design.kept import FILE as KEPT
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Ledger
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.worker import Context, Worker, reasons_against, scaffolded_by
from ckgit.formats.listing import first_of, paragraphs, plural
from ckgit.lab.commit import CommitPlan
from ckgit.orchestrators.engine.experiment import ExperimentView, prepare
from ckgit.orchestrators.engine.generated import generated
from ckgit.orchestrators.engine.logs import now, untimed
from ckgit.orchestrators.engine.plugins import worker_for
from ckgit.orchestrators.engine.profile import check_profile
from ckgit.orchestrators.scaffold.rerender import WROTE, described

LOG = "scaffold-experiment.log"
_MANY = 500  # jobs from which a second process pays


class WorkerFiles(NamedTuple):
    """What a worker makes of an experiment."""

    label: str
    stage: Stage
    reasons: Sequence[str]  # why it cannot be scaffolded; then there are no files
    files: Mapping[str, bytes]
    jobs: int


def scaffold(view: ExperimentView) -> CommitPlan:
    """The scaffold commit.

    Raises:
        CkgitError: with every reason against it at once.
    """
    check_profile(view)
    context = view.context
    refuse(view, {"design": [f"{what} is in the design and was not measured" for what in unrecorded(context.summary, context.plan)]})
    refuse_other_kept(view)
    made = made_of(view)
    files = {**_left_by_another_design(view), **_all_files(made), **_about(view, made)}
    body = told(context, ((f"scaffold-{one.label}", _count(one)) for one in made))
    return prepare(view, Event.SCAFFOLD, files=files, logs={}, ledger=first_ledger(view), body=body, time=now())


def refuse_other_kept(view: ExperimentView) -> None:
    """Raise where results were kept for another design than this one: it was changed by hand since.

    Raises:
        CkgitError: INVALID_DESIGN.
    """
    kept, own = view.snapshot.kept_jobs(), view.context.summary.digest
    if kept and kept.design != own:
        raise CkgitError(
            f"results are kept for the design with hash {kept.design[:12]}, and it was changed by hand since (now {own[:12]})",
            code=Exit.INVALID_DESIGN,
            where=view.path(KEPT),
            state="nothing was written",
            next=f"ckgit revise {view.name} finds out anew what can be kept",
        )


def first_ledger(view: ExperimentView) -> Ledger | None:
    """The ledger of an experiment that keeps results before any of its own jobs was submitted; None where it keeps none."""
    kept, context = view.context.kept, view.context
    if not kept:
        return None
    from ckgit.orchestrators.engine.kept import kept_attempts  # a transition without jobs has a quarter of a second in all

    attempts = tuple(kept_attempts(view.lab, view.name, kept))
    return Ledger(cluster=context.cluster_name, **place(context.cluster), design=context.summary.digest, attempts=attempts)


def told(context: Context, counts: Iterable[tuple[str, str]]) -> str:
    """What the commit says of the files.

    Args:
        counts: of each worker its log's name, and how many it wrote.
    """
    kept = f"Nothing is written for {plural(len(context.kept), 'job')} that kept.json names." if context.kept else ""
    lines = [f"- {name}: {count}" for name, count in counts]
    return paragraphs(f"Scaffolded {plural(len(context.plan.runs), 'run')}.", lines, kept)


def _about(view: ExperimentView, made: Sequence[WorkerFiles]) -> dict[str, bytes]:
    """What else scaffolding writes: its logs, and what the files depend on."""
    context = view.context
    files = {view.path(f"scaffold-{one.label}.log"): untimed(_worker_lines(context, one.files)) for one in made}
    files[view.path("defaults.json")] = json.dumps(context.summary.parameters.all_defaults(), indent=2).encode() + b"\n"
    files[view.path(PROFILE)] = RenderedProfile.of(context.cluster_name, context.cluster).dump()
    files[view.path(LOG)] = untimed(_lines(context, made))
    return files


def scaffolded(view: ExperimentView) -> dict[str, bytes]:
    """Every file that scaffolding writes, apart from the summary.

    Raises:
        CkgitError: with every reason against it at once.
    """
    made = made_of(view)
    return {**_all_files(made), **_about(view, made)}


def _left_by_another_design(view: ExperimentView) -> dict[str, bytes | None]:
    """Deletes what jobs of an earlier design left. A designed experiment has a ledger only where its branch was made by hand from it."""
    snapshot = view.snapshot
    return dict.fromkeys(generated(snapshot)) if snapshot.read(view.path("jobs.json")) is not None else {}


def rendered(view: ExperimentView) -> dict[str, bytes]:
    """Every file of every worker, as scaffolding renders them for the cluster profile of `view`.

    Raises:
        CkgitError: with every reason against it at once.
    """
    return _all_files(made_of(view))


def made_of(view: ExperimentView) -> list[WorkerFiles]:
    """What each worker makes.

    Raises:
        CkgitError: with every reason against it at once.
    """
    context = view.context
    made = _made(context, [worker for stage in Stage if (worker := worker_for(context.summary, stage))])
    refuse(view, {one.label: one.reasons for one in made})
    return made


def _all_files(made: Sequence[WorkerFiles]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for one in made:
        if twice := sorted(files.keys() & one.files.keys()):
            raise CkgitError(f"two workers write {twice[0]}", code=Exit.TOOL_MISSING, next="one of them is to be mended")
        files |= one.files
    return files


def _made(context: Context, workers: Sequence[Worker]) -> list[WorkerFiles]:
    against = [_reasons_against(context, worker) for worker in workers]
    files = [{} for _ in workers] if any(against) else _files(context, workers)
    return [
        WorkerFiles(worker.label, worker.stage, reasons, made, sum(job not in context.kept for job in _planned(context, worker.stage)))
        for worker, reasons, made in zip(workers, against, files, strict=True)
    ]


def _reasons_against(context: Context, worker: Worker) -> list[str]:
    reasons = reasons_against(worker.check(context))
    if not reasons and [job.name for job in worker.jobs(context)] != _planned(context, worker.stage):
        return ["it makes other jobs than the design has; can it do compute.evaluation_jobs?"]
    return reasons


def _files(context: Context, workers: Sequence[Worker]) -> Sequence[Mapping[str, bytes]]:
    """What each worker writes; of many runs, one half is rendered in another process."""
    plan = context.plan
    if len(plan.training) + len(plan.cells) < _MANY:
        return [scaffolded_by(worker, context) for worker in workers]
    from ckgit.lab.parallel import in_parallel

    runs, half = [run.name for run in plan.runs], len(plan.runs) // 2
    one, two = in_parallel([partial(_files_of, context, workers, part) for part in (runs[:half], runs[half:])])
    return [{**first, **second} for first, second in zip(one, two, strict=True)]


def _files_of(context: Context, workers: Sequence[Worker], runs: Sequence[str]) -> list[dict[str, bytes]]:
    """What each worker writes for some runs."""
    return [{path: content for run in runs for path, content in scaffolded_by(worker, context, run).items()} for worker in workers]


def _planned(context: Context, stage: Stage) -> list[str]:
    """Names of the jobs that a design has."""
    plan = context.plan
    return [run.job for run in plan.training] if stage is Stage.TRAINING else list(plan.evaluation_jobs)


def refuse(view: ExperimentView, reasons: Mapping[str, Sequence[str]]) -> None:
    """Raise when something stands against scaffolding.

    Args:
        reasons: by label of the worker that found them.

    Raises:
        CkgitError: INVALID_DESIGN, with every reason.
    """
    sentences = [f"{label}: {sentence}" for label, found in reasons.items() for sentence in found]
    if sentences:
        raise CkgitError(
            "\n".join(first_of(sentences)),
            code=Exit.INVALID_DESIGN,
            where=view.name,
            state="nothing was written",
            next=f"mend the design, then ckgit revise {view.name}",
        )


def _count(one: WorkerFiles) -> str:
    return f"{plural(len(one.files), 'file')} for {plural(one.jobs, f'{one.stage} job')}"


def _lines(context: Context, made: Sequence[WorkerFiles]) -> Iterator[tuple[str, str]]:
    yield "BEGIN", f"design {context.summary.digest}, cluster profile {context.cluster_name}, ckgit {context.version}"
    for one in made:
        yield f"scaffold-{one.label}", _count(one)
    yield "END", f"{plural(len(context.plan.runs), 'run')} scaffolded"


def _worker_lines(context: Context, made: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    prefix = f"{context.folder}/"
    per_run = Counter(path.removeprefix(prefix).partition("/")[0] for path in made)
    for run in context.plan.runs:
        if per_run[run.name]:
            yield "RUN", f"{run.name}: {plural(per_run[run.name], 'file')}"
    for path, content in sorted(made.items()):
        yield WROTE, described(path.removeprefix(prefix), content)
    yield "END", plural(len(made), "file")
