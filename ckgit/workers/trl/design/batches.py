"""Another way to divide the same rows into batches: what the optimizer sees stays as designed, step by step. Pure."""

from __future__ import annotations

from ckgit.experiment.design.plan import Run
from ckgit.experiment.jobs import Batch
from ckgit.workers.training.design.parameters import DPO
from ckgit.workers.trl.design.steps import RowSteps
from ckgit.workers.trl.design.world import World


def another(run: Run, rows: int | None, world: World, before: Batch | None, *, gpus: int | None, starved: bool) -> Batch | None:
    """How a new attempt divides the rows: with as many processes as GPUs are asked for now, with less memory where it was starved.

    Args:
        rows: of an epoch; None where they were not counted.
        world: the processes, as designed.
        before: how the last attempt divided them, where that was not as designed.

    Raises:
        ValueError: that cannot be had; says why.
    """
    sizes = {name: run[name] for name in ("batch_size", "gradient_accumulation_steps")}
    designed = Batch(processes=world.processes, max_steps_per_epoch=None, **sizes)
    last = before or designed
    wanted = last.processes if gpus is None or run["device"] == "cpu" else max(1, gpus)
    if wanted != last.processes:
        _refuse_world(run, World(wanted, world.nodes))
        last = _as_before(rows, last, _over(last, wanted))
    if starved:
        last = _as_before(rows, last, _halved(last))
    if last != designed and run["objective"] == DPO and rows and _division(rows, last).uneven(last.batch_size):
        raise ValueError(f"with batch_size {last.batch_size} the pairs of an epoch's last step would weigh otherwise")
    return None if last == designed else last


def _refuse_world(run: Run, world: World) -> None:
    if world.processes % world.nodes:
        raise ValueError(f"{world.processes} GPUs cannot be shared alike by {world.nodes} nodes")
    if run["sharding"] and world.processes == 1:
        raise ValueError(f"sharding: {run['sharding']} shares the model among several GPUs")


def _halved(batch: Batch) -> Batch:
    """Half the batch, twice the accumulation: less memory."""
    if batch.batch_size % 2:
        raise ValueError(f"batch_size {batch.batch_size} cannot be halved")
    halves = {"batch_size": batch.batch_size // 2, "gradient_accumulation_steps": batch.gradient_accumulation_steps * 2}
    return batch.model_copy(update=halves)


def _over(batch: Batch, processes: int) -> Batch:
    """Another number of processes, each with the same batch."""
    total = batch.batch_size * batch.gradient_accumulation_steps * batch.processes
    if total % (batch.batch_size * processes):
        raise ValueError(f"the {total} rows of a step make no whole batches of {batch.batch_size} on {processes} GPUs")
    accumulation = total // (batch.batch_size * processes)
    return batch.model_copy(update={"processes": processes, "gradient_accumulation_steps": accumulation})


def _as_before(rows: int | None, old: Batch, new: Batch) -> Batch:
    unknown = rows is None and max(old.processes, new.processes) > 1 and old.batch_size * old.processes != new.batch_size * new.processes
    if unknown or _repeated(rows, old) != _repeated(rows, new):
        raise ValueError("its processes train on some rows twice to be equally long, and these would be others")
    return new


def _repeated(rows: int | None, batch: Batch) -> int | None:
    """Rows at the beginning of an epoch that are trained on at its end once more; None where that cannot be told."""
    if batch.processes == 1:
        return 0
    return None if rows is None else _division(rows, batch).seen - rows


def _division(rows: int, batch: Batch) -> RowSteps:
    at_once = batch.batch_size * batch.processes
    return RowSteps(rows, 1, at_once * batch.gradient_accumulation_steps, at_once if batch.processes > 1 else 1)
