"""Another way to divide the same rows into batches: what the optimizer sees stays as designed, the memory that it takes does not. Pure."""

from __future__ import annotations

import math
from typing import NamedTuple

from ckgit.experiment.design.plan import Run
from ckgit.experiment.jobs import Batch


class Division(NamedTuple):
    """How a training divides the rows of an epoch, as torchtune's recipes do it.

    The sampler gives each process the same number of rows, repeating some; an incomplete last batch is dropped, and so are
    batches short of a whole accumulation.
    """

    rows: int
    epochs: int
    batch: Batch

    @classmethod
    def of(cls, run: Run, rows: int, processes: int) -> Division:
        """How a run's own parameters divide its rows."""
        sizes = {name: run[name] for name in ("batch_size", "gradient_accumulation_steps", "max_steps_per_epoch")}
        return cls(rows, int(run["epochs"]), Batch(processes=processes, **sizes))

    @property
    def effective(self) -> int:
        """Rows of one optimizer step."""
        return self.batch.batch_size * self.batch.gradient_accumulation_steps * self.batch.processes

    @property
    def _batches(self) -> int:
        return math.ceil(self.rows / self.batch.processes) // self.batch.batch_size

    @property
    def steps(self) -> int:
        """Optimizer steps of an epoch."""
        whole = self._batches // self.batch.gradient_accumulation_steps
        return min(whole, self.batch.max_steps_per_epoch or whole)

    @property
    def total(self) -> int:
        """Optimizer steps of the training."""
        return self.steps * self.epochs

    @property
    def carried(self) -> int:
        """Rows whose gradients torchtune carries from the end of an epoch into the next one's first step."""
        left = self._batches % self.batch.gradient_accumulation_steps
        cut = self.batch.max_steps_per_epoch and self.batch.max_steps_per_epoch * self.batch.gradient_accumulation_steps <= self._batches
        return 0 if cut or self.epochs == 1 else left * self.batch.batch_size * self.batch.processes


def another(designed: Division, before: Batch | None, *, gpus: int | None, starved: bool) -> Batch | None:
    """How a new attempt divides the rows: with as many processes as GPUs are asked for now, with less memory where it was starved.

    Raises:
        ValueError: that cannot be had; says why.
    """
    last = designed._replace(batch=before) if before else designed
    if gpus is not None and last.batch.processes > 1 and gpus != last.batch.processes:
        last = last._replace(batch=over(last, max(gpus, 1)))
    if starved:
        last = last._replace(batch=halved(last))
    return None if last.batch == designed.batch else last.batch


def halved(division: Division) -> Batch:
    """Half the batch, twice the accumulation: less memory, the same steps.

    Raises:
        ValueError: that cannot be had; says why.
    """
    batch = division.batch
    if batch.batch_size % 2:
        raise ValueError(f"batch_size {batch.batch_size} cannot be halved")
    changed = {"batch_size": batch.batch_size // 2, "gradient_accumulation_steps": batch.gradient_accumulation_steps * 2}
    return _as_before(division, batch.model_copy(update=changed))


def over(division: Division, processes: int) -> Batch:
    """The same steps with another number of processes.

    Raises:
        ValueError: that cannot be had; says why.
    """
    batch = division.batch
    if processes == 1:
        raise ValueError("it trains distributed, and on one GPU it would train by another recipe")
    if division.effective % (batch.batch_size * processes):
        raise ValueError(f"the {division.effective} rows of a step make no whole batches of {batch.batch_size} on {processes} GPUs")
    accumulation = division.effective // (batch.batch_size * processes)
    return _as_before(division, batch.model_copy(update={"gradient_accumulation_steps": accumulation, "processes": processes}))


def _as_before(division: Division, batch: Batch) -> Batch:
    """The new batch where the optimizer sees the same rows, step by step; epochs are cut where rows would be left over."""
    new = division._replace(batch=batch)
    if not division.carried and new.carried:
        new = new._replace(batch=batch.model_copy(update={"max_steps_per_epoch": division.steps}))
    if (new.effective, new.steps) != (division.effective, division.steps):
        raise ValueError(f"an epoch would have {new.steps} optimizer steps of {new.effective} rows instead of {division.steps}")
    if new.carried != division.carried:
        raise ValueError("its epochs end in the middle of an accumulation, and other gradients would go into the next epoch")
    if batch.processes != division.batch.processes and division.steps * division.effective > division.rows:
        raise ValueError("its processes train on some rows twice to be equally long, and these would be others")
    return new.batch
