"""One worker by itself: to see what it makes, or to run its half of one run."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.checks.run_names import choose_run
from ckgit.experiment.design.model import Stage
from ckgit.experiment.tools.workers import installed_workers
from ckgit.experiment.worker import Worker, reasons_against
from ckgit.formats.listing import choose
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.plugins import worker_for
from ckgit.orchestrators.scaffold.scaffold import refuse

SCAFFOLD, RUN = "scaffold", "run"


class WorkerRow(NamedTuple):
    """A worker as `ckgit worker` lists it."""

    name: str
    tool: str
    stage: Stage
    package: str
    reads: str
    writes: str


def rows() -> list[WorkerRow]:
    """Every worker that is installed, scaffolding before running.

    Raises:
        CkgitError: one of them cannot be loaded; names its package.
    """
    return [row for worker, package in installed_workers() for row in _rows(worker, package)]


def _rows(worker: Worker, package: str) -> list[WorkerRow]:
    runs = f"scripts of {SCAFFOLD}-{worker.label}, in the work tree", f"{worker.leaves}; slurm-N.out of each job, {RUN}-{worker.label}.log"
    return [
        WorkerRow(f"{SCAFFOLD}-{worker.label}", worker.tool, worker.stage, package, worker.reads, worker.writes),
        WorkerRow(f"{RUN}-{worker.label}", worker.tool, worker.stage, package, *runs),
    ]


def find(view: ExperimentView, name: str) -> Worker:
    """The worker that a name such as run-inspect means, if the experiment's design uses it.

    Raises:
        CkgitError: there is no such worker, or the design uses another one.
    """
    known = [row.name for row in rows()]
    if name not in known:
        raise CkgitError(f"there is no worker {name!r}", code=Exit.USAGE, next=choose(name, known))
    used = [worker for stage in Stage if (worker := worker_for(view.context.summary, stage))]
    found = next((worker for worker in used if worker.label == name.partition("-")[2]), None)
    if found is None:
        labels = ", ".join(worker.label for worker in used) or "none"
        raise CkgitError(
            f"the design of {view.name} does not use {name} (its tools: {labels})",
            code=Exit.USAGE,
            next="`tools` in the design names them",
        )
    return found


def check_run(view: ExperimentView, run: str | None) -> None:
    """Raise when the design has no such run."""
    names = [one.name for one in view.context.plan.runs]
    if run is not None and run not in names:
        raise CkgitError(f"there is no run {run!r} in {view.name}", code=Exit.USAGE, next=choose_run(run, names))


def render(view: ExperimentView, name: str, run: str | None) -> Mapping[str, bytes]:
    """The files that a scaffolding worker makes.

    Raises:
        CkgitError: with every reason against scaffolding.
    """
    worker = find(view, name)
    check_run(view, run)
    refuse(view, {worker.label: reasons_against(worker.check(view.context))})
    return worker.scaffold(view.context, run)


def write_preview(view: ExperimentView, name: str, files: Mapping[str, bytes]) -> Path:
    """Write rendered files into a folder of their own beside the work trees, in place of those of the last time.

    Never into a checkout: what lies uncommitted there would be in the way of the scaffold commit.
    """
    folder = view.lab.work_root(view.context.cluster_name) / ".preview" / view.name / name
    if folder.exists():
        shutil.rmtree(folder)
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder


def run_options(view: ExperimentView, name: str, *, run: str | None = None, wait: bool = True) -> AdvanceOptions:
    """How a worker's jobs are submitted, awaited and judged, as advance would.

    Raises:
        CkgitError: there is no such worker or run.
    """
    worker = find(view, name)
    check_run(view, run)
    return AdvanceOptions(worker=worker.label, run=run, wait=wait)
