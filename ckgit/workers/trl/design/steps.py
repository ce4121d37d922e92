"""How TRL's trainer divides rows into optimizer steps. Pure.

An incomplete batch is trained on, and so is what is left of an accumulation at the end of an epoch: such a step sees fewer rows.
Several processes take a batch each at a time; where an epoch's rows do not fill the last batches of all of them, its first rows do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from ckgit.experiment.card import ModelCard
from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import Run, resources
from ckgit.experiment.estimates.estimate import BYTES
from ckgit.experiment.estimates.guess import Guess, Steps
from ckgit.experiment.worker import Context
from ckgit.workers.training.design.counted import processes, train_rows
from ckgit.workers.training.design.estimate import MOMENTS, Written, checkpoint_bytes, rows_together, trained_parameters, training


class RowSteps(NamedTuple):
    """How a training divides the rows of an epoch."""

    rows: int
    epochs: int
    step_rows: int  # of a whole step: batch_size x gradient_accumulation_steps x processes
    at_once: int = 1  # of which there are whole ones in an epoch: where processes are several, a batch of each; otherwise a row

    @classmethod
    def of(cls, run: Run | Mapping[str, Any], rows: int, processes: int) -> RowSteps:
        """How a run's own parameters divide its rows among so many processes."""
        at_once = int(run["batch_size"]) * processes
        return cls(rows, int(run["epochs"]), at_once * int(run["gradient_accumulation_steps"]), at_once if processes > 1 else 1)

    @property
    def per_epoch(self) -> int:
        """Optimizer steps of an epoch."""
        return math.ceil(self.rows / self.step_rows)

    @property
    def seen(self) -> int:
        """Rows of an epoch, with those that are there once more so that all processes have equally many."""
        return math.ceil(self.rows / self.at_once) * self.at_once

    @property
    def total(self) -> int:
        """Optimizer steps of the training."""
        return self.per_epoch * self.epochs

    def uneven(self, batch: int) -> int:
        """Rows of an epoch's last step, where its batches are not of one size; 0 where they are. Several processes have whole ones only."""
        rest = self.rows % self.step_rows
        return rest if self.at_once == 1 and rest > batch and rest % batch else 0


def division(context: Context, run: Run, sequences: int | None = None) -> RowSteps | None:
    """How a run divides its rows, or what they are packed into; None when they were not counted, or there are none.

    Args:
        sequences: that rows are packed into, where they are; None before anybody knows.
    """
    rows = sequences if run["packing_length"] else train_rows(context, run)
    return RowSteps.of(run, rows, processes(context, run)) if rows else None


def expected(context: Context, run: Run) -> RowSteps | None:
    """The same by a guess at the sequences that rows are packed into, from their characters."""
    rows, card, measured = train_rows(context, run), context.cards.get(run.model), context.summary.recorded.data.get(run["data"])
    if not run["packing_length"] or not rows or not card or not measured:
        return division(context, run)
    return division(context, run, math.ceil(rows / rows_together(run, card, measured.mean.get(run["train_split"], 0.0))))


class Uneven(NamedTuple):
    """The last step of an epoch, where its batches are not of one size."""

    rows: int
    batch: int


def uneven(context: Context, run: Run) -> Uneven | None:
    """The last step of an epoch, whose rows weigh unequally where a loss is the mean over each batch; None where they do not."""
    divided, batch = division(context, run), int(run["batch_size"])
    rest = divided.uneven(batch) if divided else 0
    return Uneven(rest, batch) if rest else None


def planned_steps(context: Context, run: Run, sequences: int | None = None) -> int | None:
    """Optimizer steps of the whole training; None where that is not known, see `division`."""
    divided = division(context, run, sequences)
    return divided.total if divided else None


def steps(context: Context, run: Run) -> Steps | None:
    """The same, or about so many, as tables show it."""
    divided, rows = expected(context, run), train_rows(context, run)
    if not divided or not rows:
        return None
    return Steps(rows, divided.per_epoch, divided.total, bool(run["early_stopping_patience"]), about=bool(run["packing_length"]))


def estimate(context: Context, run: Run) -> Guess:
    """What a run's job may need; its rows were counted."""
    wanted = resources(context.summary, run, Stage.TRAINING, context.cluster.training)
    data = context.summary.recorded.data[run["data"]]
    divided, shards = expected(context, run), processes(context, run) if run["sharding"] else 1
    card, steps = context.cards[run.model], divided.total if divided else 0
    return training(run, card, data, wanted, steps, shards=shards, written=written(run, card, steps))


def written(run: Run, card: ModelCard, steps: int) -> Written:
    """What a training of so many steps writes: states that it goes on from, and of those that are kept the folders that are evaluated.

    Both lie there while the folders are made; of states with an optimizer's two numbers a weight there are two while one takes the
    place of the other.
    """
    weights = trained_parameters(run, card) * BYTES["fp32" if run["method"] != "full" else run["dtype"]]
    state = weights * (1 + MOMENTS.get(run["optimizer"], 2))
    folders = len(run.checkpoints) * checkpoint_bytes(run, card)
    saves = int(run["epochs"]) + steps // (run["save_every_n_steps"] or steps or 1)
    return Written(folders + saves * state, folders + len(run.checkpoints) * weights + 2 * state)
