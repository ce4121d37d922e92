"""What the files of a training with TRL say of it, for the judge of all trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from ckgit.experiment.design.parameters import BEST
from ckgit.experiment.design.plan import Run
from ckgit.experiment.results import MANIFEST, LossPoint, read_manifest
from ckgit.experiment.worker import Context
from ckgit.formats.listing import plural
from ckgit.formats.markdown import number
from ckgit.workers.training.design.counted import warmup_steps
from ckgit.workers.training.design.parameters import DPO
from ckgit.workers.training.outputs.evidence import Trainer, read_record
from ckgit.workers.training.outputs.logs import logged_steps, tokens_seen
from ckgit.workers.trl.design.parameters import LAST
from ckgit.workers.trl.design.steps import RowSteps, division
from ckgit.workers.trl.outputs.kept import lowest, stops
from ckgit.workers.trl.outputs.log import LOG_NAME, VALIDATION_LOG, loss_points
from ckgit.workers.trl.outputs.merged import MERGED, Packed, TrlTraining
from ckgit.workers.trl.outputs.packing import PACKING, PackingRecord, check_read, packing_of
from ckgit.workers.trl.outputs.rewards import check_reference, check_rewards
from ckgit.workers.trl.outputs.state import RESUMED


def told(context: Context, run: Run, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Fields of its result.

    Args:
        files: its records, by name.

    Raises:
        ValueError: they cannot be read, or are not of the training that was planned.
    """
    packed = packing_of(context, run, files)
    losses, divided = loss_points(files[LOG_NAME]), division(context, run, packed.train.sequences if packed else None)
    planned = divided.total if divided else None
    validation = loss_points(files.get(VALIDATION_LOG, b""))
    stopped = stops(validation, run["early_stopping_patience"], run["early_stopping_threshold"] or 0.0)
    steps = logged_steps(run, LOG_NAME, losses, stopped or planned)
    _check_validated(run, divided, validation, steps)
    _check_kept(run, validation, steps, files)
    _check_warmup(run, losses, warmup_steps(run, planned or steps))
    if run["objective"] == DPO:
        check_rewards(run, LOG_NAME, losses)
        check_rewards(run, VALIDATION_LOG, validation)
        check_reference(run, losses)
    if packed and divided:
        check_read(run, packed.train, divided, losses)
    merged: TrlTraining = read_record(run, MERGED, TypeAdapter(TrlTraining), files.get(MERGED, b"{}"))
    return {
        "steps": steps,
        "tokens_seen": tokens_seen(losses, steps),
        "final_loss": losses[-1].loss,
        "losses": tuple(losses),
        "validation": tuple(validation),
        **(_early(run, divided, validation, steps) if divided and steps != planned and stopped else {}),
        "resumed_steps": read_record(run, RESUMED, TypeAdapter(tuple[int, ...]), files.get(RESUMED, b"[]")),
        "own": {**merged.model_dump(mode="json", exclude={"packed"}), **_packed(packed)},
    }


TRAINER = Trainer(log=LOG_NAME, further=(VALIDATION_LOG, MERGED, RESUMED, PACKING), told=told)


def _packed(packed: PackingRecord | None) -> Mapping[str, Any]:
    """Nothing where rows were not packed, as earlier results have it."""
    if packed is None:
        return {}
    numbers = packed.train.model_dump(include={"rows", "tokens", "sequences"})
    return {"packed": Packed(**numbers, packing_length=packed.packing_length).model_dump(mode="json")}


def _check_validated(run: Run, divided: RowSteps | None, validation: Sequence[LossPoint], steps: int) -> None:
    """Of the losses of rows that are held out, none may lack, and where training stopped early, none is later."""
    if run["validation_split"] and divided:
        every = run["validate_every_n_steps"] or divided.per_epoch
        expected = list(range(every, steps + 1, every))
        if [point.step for point in validation] != expected:
            until = "" if steps == divided.total else f" until step {steps}"
            raise ValueError(f"run {run.name}: {VALIDATION_LOG} shows {len(validation)} losses; {len(expected)} were planned{until}")


def _check_kept(run: Run, validation: Sequence[LossPoint], steps: int, files: Mapping[str, bytes]) -> None:
    """The checkpoint that counts as the best is that of the lowest loss, and the one that counts as the last that of the last step."""
    found = {checkpoint.path.rpartition("/")[2]: checkpoint.step for checkpoint in read_manifest(files[MANIFEST])}
    low = lowest(validation).step if validation else None
    if run["keep_best"] and validation and found.get(BEST) != low:
        raise ValueError(f"run {run.name}: the validation loss is lowest at step {low}, and step {found.get(BEST)} is kept as the best")
    if run["early_stopping_patience"] and found.get(LAST) != steps:
        raise ValueError(f"run {run.name}: training ended at step {steps}, and step {found.get(LAST)} is kept as the last")


def _early(run: Run, divided: RowSteps, validation: Sequence[LossPoint], steps: int) -> Mapping[str, Any]:
    """What is to be said of a training that stopped early."""
    low = lowest(validation)
    by = f" by more than {number(run['early_stopping_threshold'])}" if run["early_stopping_threshold"] else ""
    waited = plural(run["early_stopping_patience"], "measurement")
    epochs = f"after {number(steps / divided.per_epoch)} of {plural(divided.epochs, 'epoch')}"
    why = f"{epochs} the validation loss had not fallen{by} for {waited}; it was lowest, {number(low.loss)}, at step {low.step}"
    return {"planned_steps": divided.total, "ended": why}


def _check_warmup(run: Run, losses: Sequence[LossPoint], warmup: int) -> None:
    """Some schedules take no notice of a warm-up."""
    first = losses[0]
    if first.step <= warmup and (first.lr is None or first.lr >= run["lr"]):
        raise ValueError(f"run {run.name}: the learning rate is {first.lr} at step {first.step}, in a warm-up of {warmup} steps")
