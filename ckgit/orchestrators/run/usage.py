"""What an attempt took: by the job's own account, and by the scheduler's where it keeps one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from ckgit.experiment.jobs import Attempt, Job, Phase, Usage

GPU_LOG = "gpu.csv"  # what nvidia-smi said while the job ran; see jobs/script.py
_PERCENT = re.compile(r"100|[0-9]{1,2}")


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


def lacking(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Those that ended before the scheduler's accounting knew of them: it can be late, and CPU time is what it alone knows."""
    ended = [attempt for attempt in attempts if attempt.phase is not Phase.SUBMITTED and attempt.job_id and not attempt.kept]
    return [attempt for attempt in ended if attempt.usage is None or attempt.usage.cpu_seconds is None]


def filled(attempts: Sequence[Attempt], accounted: Mapping[str, Usage]) -> list[Attempt]:
    """Those of which accounting has come to know something since they ended, with that.

    Args:
        accounted: by token, as `Scheduler.usage` answers for those that are `lacking`.
    """
    known = [attempt for attempt in lacking(attempts) if attempt.token in accounted]
    return [attempt.model_copy(update={"usage": accounted[attempt.token].over(attempt.usage)}) for attempt in known]


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def _mean_utilization(path: Path) -> float | None:
    """Mean of the first column of lines such as `83, 40213`, percent; None where there is nothing to read."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    values = [float(first) for line in lines if _PERCENT.fullmatch(first := line.partition(",")[0].strip())]
    return sum(values) / len(values) if values else None
