"""How many optimizer steps a run takes, by the arithmetic of torchtune's recipes."""

from __future__ import annotations

import math

from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import Run, resources
from ckgit.experiment.worker import Context


def processes(context: Context, run: Run) -> int:
    """Training processes: one a GPU where there are several, otherwise one."""
    wanted = resources(context.summary, run, Stage.TRAINING, context.cluster.training)
    return max(1, wanted.gpus or 1)


def train_rows(context: Context, run: Run) -> int | None:
    """Rows of the training split, as design counted them; None when it did not."""
    recorded = context.summary.recorded.data.get(run["data"])
    return recorded.splits.get(run["train_split"]) if recorded else None


def steps_per_epoch(run: Run, rows: int, nproc: int) -> int:
    """Optimizer steps of an epoch. An incomplete last batch is dropped, and so are batches short of a whole accumulation."""
    batches = math.ceil(rows / nproc) // run["batch_size"]
    steps: int = batches // run["gradient_accumulation_steps"]
    return min(steps, run["max_steps_per_epoch"] or steps)


def planned_steps(context: Context, run: Run) -> int | None:
    """Optimizer steps of the whole training; None when the rows were not counted."""
    rows = train_rows(context, run)
    return None if rows is None else int(run["epochs"]) * steps_per_epoch(run, rows, processes(context, run))
