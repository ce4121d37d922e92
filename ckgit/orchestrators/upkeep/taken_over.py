"""Work trees whose checkpoints an experiment is still to load that took their trainings over: its own earlier ones, or another's."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from ckgit.experiment.design.kept import KeptJob, KeptJobs
from ckgit.experiment.state import State
from ckgit.lab.experiments import ExperimentRow, list_experiments
from ckgit.lab.git.objects import read_objects
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.engine.kept import has_source, source

_BEFORE_EVALUATION = (State.DESIGNED, State.SCAFFOLDED, State.TRAINED, None)


def still_loaded(lab: Lab) -> dict[str, str]:
    """Name of the experiment that is still to load checkpoints of a work tree, by that one's path without links.

    Raises:
        CkgitError: what an experiment takes over cannot be read.
    """
    rows = [row for row in list_experiments(lab) if not row.closing and row.state in _BEFORE_EVALUATION]
    paths = [f"{row.tip}:experiments/{row.name}/kept.json" for row in rows]
    keeping = [row for row, content in zip(rows, read_objects(lab.root, paths, lenient=True), strict=True) if content]
    return {os.path.realpath(tree): row.name for row in keeping for tree in trees_of(lab, _kept(lab, row))}


def _kept(lab: Lab, row: ExperimentRow) -> Iterable[KeptJob]:
    found: KeptJobs | None = take_snapshot(lab, row.name).kept_jobs()
    return found.jobs.values() if found else ()


def trees_of(lab: Lab, kept: Iterable[KeptJob]) -> Iterator[str]:
    """Work trees: where jobs ran that were taken over, and where those ran that these were taken over from."""
    for job in kept:
        if not has_source(lab, job):
            continue  # its work tree is none of this clone's
        snapshot, ledger = source(lab, job)
        yield from (tree for tree in (ledger.work_tree, ledger.moved_from) if tree)
        earlier = snapshot.kept_jobs()
        yield from trees_of(lab, [earlier.jobs[job.job]] if earlier and job.job in earlier.jobs else [])
