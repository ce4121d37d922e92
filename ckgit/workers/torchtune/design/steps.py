"""How many optimizer steps a run takes, by the arithmetic of torchtune's recipes, which is in `batches`."""

from __future__ import annotations

from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import Run, resources
from ckgit.experiment.estimates.guess import Guess, Steps
from ckgit.experiment.worker import Context
from ckgit.workers.torchtune.design.batches import Division
from ckgit.workers.training.design.counted import processes, train_rows
from ckgit.workers.training.design.estimate import training


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


def estimate(context: Context, run: Run) -> Guess:
    """What a run's job may need; its rows were counted."""
    wanted = resources(context.summary, run, Stage.TRAINING, context.cluster.training)
    data = context.summary.recorded.data[run["data"]]
    return training(run, context.cards[run.model], data, wanted, planned_steps(context, run) or 0, shards=processes(context, run))
