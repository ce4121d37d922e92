"""Whether the numbers of committed logs follow from the samples in them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from ckgit.experiment.jobs import Attempt, Job
from ckgit.experiment.worker import Audit, Context
from ckgit.formats.task_source import called_names
from ckgit.workers.inspect_ai.cells import PlannedCell
from ckgit.workers.inspect_ai.codes import RefusedLogError
from ckgit.workers.inspect_ai.logs.archive import unpack
from ckgit.workers.inspect_ai.logs.evidence import extract_of
from ckgit.workers.inspect_ai.logs.file import read
from ckgit.workers.inspect_ai.logs.recompute import recomputed
from ckgit.workers.inspect_ai.ready import cells_of


def audit(context: Context, job: Job, attempt: Attempt, files: Mapping[str, bytes]) -> Audit:
    """Compute the metrics of each cell that counts again; each sentence begins with the cell. Reads nothing but `files`."""
    found = [(cell, _of_cell(cell, files)) for cell in cells_of(context, job) if not attempt.cells.get(cell.cell.name)]
    return Audit(
        [f"{cell.name}: {why}" for cell, each in found for why in each.differences],
        [f"{cell.name}: {why}" for cell, each in found for why in each.unchecked],
    )


def _of_cell(cell: PlannedCell, files: Mapping[str, bytes]) -> Audit:
    if extract_of(cell) in files:
        return Audit(unchecked=["its log was too large to be committed: its metrics are not computed again"])
    if cell.log not in files:
        return Audit()
    return audit_log(files[cell.log], called_names(cell.context.sources[cell.task.source]))


def audit_log(content: bytes, called: frozenset[str] = frozenset()) -> Audit:
    """What of an `.eval` log does not follow from its samples.

    Args:
        called: names of what the task's file calls.
    """
    with tempfile.NamedTemporaryFile(suffix=".eval") as copy:
        try:
            names = unpack(content, copy.file)
            header, samples, *_ = read(Path(copy.name))
        except RefusedLogError as error:
            return Audit([str(error)])
        if header.results is None:
            return Audit(["the log has no results"])
        try:
            found = recomputed(header, samples, called)
        except Exception as error:  # noqa: BLE001 - numbers that no float can hold, and whatever else nobody thought of
            return Audit([f"its metrics cannot be computed again: {type(error).__name__}"])
    kept = sum(name.startswith("samples/") for name in names)
    unread = [f"it has {kept} samples, of which {len(samples)} are listed"] if kept != len(samples) else []
    return found._replace(differences=[*unread, *found.differences])
