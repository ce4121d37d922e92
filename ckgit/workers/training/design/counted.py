"""What a training has to do with, as the design counted it: its rows, and the processes that share them. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import Run, resources
from ckgit.experiment.worker import Context


def processes(context: Context, run: Run) -> int:
    """Training processes: one a GPU where there are several, otherwise one."""
    wanted = resources(context.summary, run, Stage.TRAINING, context.cluster.training)
    return max(1, wanted.gpus or 1)


def warmup_steps(run: Run, steps: int) -> int:
    """Steps of a training's warm-up, of so many optimizer steps; of a share of them, the next whole number."""
    return warmup_of(run.__getitem__, steps)


def warmup_of(get: Callable[[str], Any], steps: int) -> int:
    """The same by the values of parameters; None for one that has none."""
    ratio = get("warmup_ratio")
    if ratio is None:
        return int(get("num_warmup_steps") or 0)
    # Of packed rows the trainer is handed the share itself, and multiplies as computers do: 0.07 of 100 steps are 8.
    return math.ceil(steps * ratio if get("packing_length") else Fraction(str(ratio)) * steps)


def train_rows(context: Context, run: Run) -> int | None:
    """Rows that a run is trained on, as design counted them; None when it did not."""
    recorded = context.summary.recorded.data.get(run["data"])
    rows = recorded.splits.get(run["train_split"]) if recorded else None
    return rows if rows is None else min(rows, run["max_samples"] or rows)
