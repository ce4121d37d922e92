"""Loss curves as they are drawn: no more points than can be seen, running means, and the band of a setting's seeds. Pure."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ckgit.experiment.results import LossPoint, RunRow, TrainingResult

MOST_POINTS = 400  # of one curve
MOST_MEASURED = 40  # of one that is drawn as circles


class Curve(NamedTuple):
    """A loss curve with no more points than can be seen."""

    steps: list[float]
    losses: list[float]


class Band(NamedTuple):
    """The curves of one setting: the mean of its seeds, between the lowest and the highest."""

    steps: list[float]
    lows: list[float]
    means: list[float]
    highs: list[float]


class CurveGroup(NamedTuple):
    """The trained runs of one setting."""

    name: str
    runs: tuple[RunRow, ...]

    @property
    def trainings(self) -> list[TrainingResult]:
        """What each came to."""
        return [run.training for run in self.runs if run.training]

    @property
    def curves(self) -> list[Curve]:
        """One a run."""
        return self.thin(MOST_POINTS)

    @property
    def by_tokens(self) -> list[Curve]:
        """One a run, with tokens where the steps are; each run must say how many it saw."""
        rates = [tokens_a_step(training) or math.nan for training in self.trainings]
        return [Curve([step * rate for step in curve.steps], curve.losses) for curve, rate in zip(self.curves, rates, strict=True)]

    def thin(self, most: int) -> list[Curve]:
        """One a run, of so many points."""
        return [thinned(training.losses, most) for training in self.trainings]

    @property
    def held_out(self) -> list[Curve]:
        """Losses on rows that were held out, one a run that has them."""
        return [thinned(training.validation, MOST_MEASURED) for training in self.trainings if training.lowest_validation]

    def measured(self, metric: str) -> list[Curve]:
        """One a run, of what a tool measures beside the loss; each must have it at some step."""
        return [thinned(training.losses, value=lambda point: point.metrics.get(metric, math.nan)) for training in self.trainings]


def tokens_a_step(training: TrainingResult) -> float | None:
    """Tokens that a step was trained on, on average; None where they were not counted."""
    return training.tokens_seen / training.steps if training.tokens_seen and training.steps else None


def groups(runs: Sequence[RunRow]) -> list[CurveGroup]:
    """The runs that have a loss curve, by setting; one that repeats a seed, and a setting of one run, stand by their own names."""
    found: dict[str, list[RunRow]] = {}
    for run in runs:
        if run.training and any(math.isfinite(point.loss) for point in run.training.losses):
            found.setdefault(run.name if run.again else run.setting or run.name, []).append(run)
    return [CurveGroup(name if len(group) > 1 else group[0].name, tuple(group)) for name, group in found.items()]


def thinned(points: Sequence[LossPoint], most: int = MOST_POINTS, value: Callable[[LossPoint], float] = lambda point: point.loss) -> Curve:
    """Means of equally long pieces where there are more points than can be seen; what is no number is left out.

    Args:
        value: what is drawn.
    """
    known = [point for point in points if math.isfinite(value(point))]
    size = max(1, math.ceil(len(known) / most))
    pieces = [known[at : at + size] for at in range(0, len(known), size)]
    return Curve(
        [math.fsum(point.step for point in piece) / len(piece) for piece in pieces],
        [math.fsum(map(value, piece)) / len(piece) for piece in pieces],
    )


def smoothed(curve: Curve) -> Curve:
    """Running mean over the last twentieth of the points."""
    window = max(1, len(curve.losses) // 20)
    means = [math.fsum(curve.losses[max(0, at - window + 1) : at + 1]) / min(at + 1, window) for at in range(len(curve.losses))]
    return Curve(curve.steps, means)


def band(curves: Sequence[Curve]) -> Band:
    """Of several curves, smoothed, at the steps of the longest one."""
    smooth = [smoothed(curve) for curve in curves]
    steps = max((curve.steps for curve in smooth), key=len)
    at = [[value for curve in smooth if (value := _value_at(curve, step)) is not None] for step in steps]
    return Band(steps, [min(each) for each in at], [math.fsum(each) / len(each) for each in at], [max(each) for each in at])


def _value_at(curve: Curve, step: float) -> float | None:
    """The loss at the nearest earlier point; None outside of the curve."""
    if not curve.steps[0] <= step <= curve.steps[-1]:
        return None
    return curve.losses[bisect.bisect_right(curve.steps, step) - 1]


def divergence(training: TrainingResult) -> str:
    """Why a training is held for diverged; empty where it is not: a loss that is no number, or one that ends above where it began."""
    broken = next((point for point in training.losses if not math.isfinite(point.loss)), None)
    if broken:
        return f"the loss is {broken.loss} at step {broken.step}"
    if len(training.losses) < 2:  # noqa: PLR2004 - one point has no direction
        return ""
    piece = max(1, len(training.losses) // 20)
    first, last = (math.fsum(point.loss for point in part) / piece for part in (training.losses[:piece], training.losses[-piece:]))
    return f"the loss ends at {last:.3g}, above its start at {first:.3g}" if last > first else ""


def epoch_steps(training: TrainingResult) -> list[float]:
    """The steps at which epochs end, but for the last; none where it is not known how many there were."""
    epochs = max((each.epoch + 1 for each in training.checkpoints if each.epoch is not None), default=0)
    return [training.steps * each / epochs for each in range(1, epochs)]
