"""What the log of a training on preferences must show."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ckgit.experiment.design.plan import Run
from ckgit.experiment.results import ACCURACIES, CHOSEN, MARGINS, REJECTED, LossPoint

REWARDS = (MARGINS, ACCURACIES, CHOSEN, REJECTED)
_FIRST = 1e-3  # by which the first loss may be another than ln 2, with 32 bits and a beta of 0.1


def check_rewards(run: Run, log: str, points: Sequence[LossPoint]) -> None:
    """Refuse a log without rewards.

    Raises:
        ValueError: names the run and the step.
    """
    for point in points:
        if lacking := [name for name in REWARDS if name not in point.metrics]:
            raise ValueError(f"run {run.name}: {log} shows no {lacking[0]} at step {point.step}")


def check_reference(run: Run, points: Sequence[LossPoint]) -> None:
    """Before the first step a model is its own reference: no answer has a reward, and the loss is ln 2.

    Raises:
        ValueError: the reference was another model.
    """
    first, most = points[0], _FIRST * max(1.0, run["beta"] / 0.1)
    if first.step == 1 and run["dtype"] == "fp32" and abs(first.loss - math.log(2)) > most:
        why = f"where it is {math.log(2):.4f} if the reference is the model that was trained"
        raise ValueError(f"run {run.name}: the loss is {first.loss:.4f} at step 1, {why}")
