"""How many optimizer steps a run takes, by the arithmetic of torchtune's recipes, which is in `batches`."""

from __future__ import annotations

from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import Run, resources
from ckgit.experiment.estimates.guess import Steps
from ckgit.experiment.worker import Context
from ckgit.workers.torchtune.design.batches import Division


def processes(context: Context, run: Run) -> int:
    """Training processes: one a GPU where there are several, otherwise one."""
    wanted = resources(context.summary, run, Stage.TRAINING, context.cluster.training)
    return max(1, wanted.gpus or 1)


def train_rows(context: Context, run: Run) -> int | None:
    """Rows of the training split, as design counted them; None when it did not."""
    recorded = context.summary.recorded.data.get(run["data"])
    return recorded.splits.get(run["train_split"]) if recorded else None


def division(context: Context, run: Run, *, nproc: int | None = None) -> Division | None:
    """How a run divides its rows; None when they were not counted, or there are none.

    Args:
        nproc: training processes, where they are not those that the design asks for.
    """
    rows = train_rows(context, run)
    return Division.of(run, rows, nproc or processes(context, run)) if rows else None


def planned_steps(context: Context, run: Run) -> int | None:
    """Optimizer steps of the whole training; None when the rows were not counted."""
    rows = train_rows(context, run)
    return None if rows is None else Division.of(run, rows, processes(context, run)).total


def steps(context: Context, run: Run) -> Steps | None:
    """The same, as tables show it."""
    divided = division(context, run)
    return Steps(divided.rows, divided.steps, divided.total) if divided else None
