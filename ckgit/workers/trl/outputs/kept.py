"""Which steps of a training are kept, and whether it stops before its last epoch: by its validation log alone. Pure.

The job asks after each measurement, and whoever judges it asks again of the committed log, so a log that merely ends is no early stop; and
as the log is cut back to where a training goes on, one that was killed does not forget how long it has waited.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ckgit.experiment.design.parameters import BEST
from ckgit.experiment.results import LossPoint
from ckgit.workers.trl.design.parameters import LAST
from ckgit.workers.trl.design.steps import RowSteps


class KeptStep(NamedTuple):
    """A step of which the weights stay."""

    folder: str  # under artifacts/
    step: int
    epoch: int | None = None  # that ends there, where that is what it is kept for
    best: bool = False


class Keeping(NamedTuple):
    """What of a training is kept."""

    per_epoch: int  # steps
    epochs: int
    keep_best: bool = False
    patience: int | None = None  # measurements of the validation loss; None where it has all of its epochs
    threshold: float = 0.0  # by more than which that loss must fall

    @classmethod
    def of(cls, values: Mapping[str, Any], rows: int, processes: int) -> Keeping:
        """By a run's parameters, of so many rows and processes."""
        divided = RowSteps(rows, values["epochs"], values["batch_size"] * values["gradient_accumulation_steps"] * processes)
        patience, threshold = values.get("early_stopping_patience"), values.get("early_stopping_threshold") or 0.0
        return cls(divided.per_epoch, divided.epochs, bool(values.get("keep_best")), patience, threshold)

    def stops(self, validation: Sequence[LossPoint]) -> int | None:
        """The step at which it stops by what was measured until now; None where it goes on."""
        return stops(validation, self.patience, self.threshold)

    def kept(self, validation: Sequence[LossPoint], steps: int) -> list[KeptStep]:
        """What is kept of so many steps, the last one last; weights that are kept twice are named twice.

        Args:
            validation: losses that were measured until then.
        """
        found = [KeptStep(BEST, lowest(validation).step, best=True)] if self.keep_best and validation else []
        if self.patience:
            epoch = None if steps % self.per_epoch else steps // self.per_epoch - 1
            return [*found, KeptStep(LAST, steps, epoch)]
        epochs = range(steps // self.per_epoch)
        return [*found, *(KeptStep(f"epoch_{epoch}", self.per_epoch * (epoch + 1), epoch) for epoch in epochs)]


def lowest(validation: Sequence[LossPoint]) -> LossPoint:
    """The measurement with the lowest loss; of equal ones the first. There must be one."""
    return min(validation, key=lambda point: point.loss)


def stops(validation: Sequence[LossPoint], patience: int | None, threshold: float) -> int | None:
    """The step of the measurement at which patience is exhausted: so many, one after another, were not below the lowest before them.

    Args:
        patience: None for a training that waits for nothing.
        threshold: by more than which a loss must be below.
    """
    low, waited = math.inf, 0
    for point in validation:
        waited = 0 if point.loss < low - threshold else waited + 1
        low = min(low, point.loss)
        if waited == patience:
            return point.step
    return None
