"""What an attempt took: by the job's own account, and by the scheduler's where it keeps one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from ckgit.experiment.jobs import Attempt, Job, Usage

GPU_LOG = "gpu.csv"  # what nvidia-smi said while the job ran; see workers/script.py


def used(attempt: Attempt, job: Job, accounted: Usage | None, folder: Path, *, device: str) -> Usage:
    """What an attempt that ended took.

    Args:
        accounted: what the scheduler says, which wins.
        folder: the job's own folder in the work tree.
        device: where it computes. One on `cuda` that asked for no GPU took what was there, and nobody counted it.
    """
    asked = (attempt.resources or job.resources).gpus
    waited = _seconds(attempt.submitted, attempt.started) if attempt.started else None
    own = Usage(
        queue_seconds=max(waited, 0.0) if waited is not None else None,
        elapsed_seconds=max(_seconds(attempt.started, attempt.ended), 0.0) if attempt.started and attempt.ended else None,
        gpus=0 if asked is None and device == "cpu" else asked,
        gpu_utilization=_mean_utilization(folder / GPU_LOG),
        node=attempt.host,
    )
    return accounted.over(own) if accounted else own


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def _mean_utilization(path: Path) -> float | None:
    """Mean of the first column of lines such as `83, 40213`, percent; None where there is nothing to read."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return None
    values = [float(first) for line in lines if (first := line.partition(",")[0].strip()).isdigit() and int(first) <= 100]  # noqa: PLR2004 - percent
    return sum(values) / len(values) if values else None
