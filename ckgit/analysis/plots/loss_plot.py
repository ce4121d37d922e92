"""The loss curves: one picture with all runs, or a panel for each where they are many."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ckgit.analysis.plots.drawing import COLOURS, GREY, drawing, new_figure, svg
from ckgit.experiment.results import LossPoint, Results, RunRow

OVERLAID = 6  # more loss curves than these get a panel each
MOST_PANELS = 60
COLUMNS = 4
MOST_POINTS = 400  # of one curve
_KEY = "pale: as logged, strong: running mean"
_WIDE = 100  # a largest over a smallest loss from which the axis is logarithmic


class Curve(NamedTuple):
    """A loss curve with no more points than can be seen."""

    steps: list[float]
    losses: list[float]


def loss_plot(results: Results) -> bytes | None:
    """Training loss by step of each fine-tuned run; None when none was trained."""
    runs = [run for run in results.runs if run.training and run.training.losses]
    if not runs:
        return None
    with drawing():
        return svg(_overlaid(runs) if len(runs) <= OVERLAID else _panels(runs))


def thinned(points: Sequence[LossPoint]) -> Curve:
    """Means of equally long pieces where there are more points than can be seen."""
    size = math.ceil(len(points) / MOST_POINTS)
    pieces = [points[at : at + size] for at in range(0, len(points), size)]
    return Curve(
        [math.fsum(point.step for point in piece) / len(piece) for piece in pieces],
        [math.fsum(point.loss for point in piece) / len(piece) for piece in pieces],
    )


def smoothed(curve: Curve) -> Curve:
    """Running mean over the last twentieth of the points."""
    window = max(1, len(curve.losses) // 20)
    means = [math.fsum(curve.losses[max(0, at - window + 1) : at + 1]) / min(at + 1, window) for at in range(len(curve.losses))]
    return Curve(curve.steps, means)


def _curves(runs: Sequence[RunRow]) -> list[Curve]:
    return [thinned(run.training.losses) for run in runs if run.training]


def _overlaid(runs: Sequence[RunRow]) -> Any:
    figure = new_figure(7.5, 3.6)
    axes = figure.subplots()
    for position, (run, curve) in enumerate(zip(runs, _curves(runs), strict=True)):
        colour = COLOURS[position % len(COLOURS)]
        axes.plot(*curve, color=colour, alpha=0.25, linewidth=0.8)
        axes.plot(*smoothed(curve), color=colour, linewidth=1.8, label=run.name)
    _label_loss(axes, _curves(runs))
    axes.set(xlabel=f"optimizer step ({_KEY})", ylabel="training loss")
    figure.legend(loc="outside right upper")
    return figure


def _panels(runs: Sequence[RunRow]) -> Any:
    """A panel for each run on the same axes, before a band from the lowest to the highest loss of all runs."""
    shown = runs[:MOST_PANELS]
    curves = _curves(shown)
    rows = math.ceil(len(shown) / COLUMNS)
    figure = new_figure(9, 1.6 * rows + 0.6)
    grid = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    steps, lows, highs = _band(curves)
    for position, axes in enumerate(grid.flat):
        if position >= len(shown):
            axes.set_axis_off()
            continue
        axes.fill_between(steps, lows, highs, color=GREY, linewidth=0)
        axes.plot(*curves[position], color=COLOURS[0], alpha=0.3, linewidth=0.7)
        axes.plot(*smoothed(curves[position]), color=COLOURS[0], linewidth=1.4)
        axes.set_title(shown[position].name, loc="left")
        _label_loss(axes, curves)
    more = f"; the first {MOST_PANELS} of {len(runs)} runs" if len(runs) > MOST_PANELS else ""
    figure.supxlabel(f"optimizer step ({_KEY}; grey: range of all runs{more})", fontsize=9)
    figure.supylabel("training loss", fontsize=9)
    return figure


def _band(curves: Sequence[Curve]) -> tuple[list[float], list[float], list[float]]:
    """Lowest and highest smoothed loss of all runs, at the first run's steps."""
    smooth = [smoothed(curve) for curve in curves]
    steps = max((curve.steps for curve in smooth), key=len)
    at = [[value for curve in smooth if (value := _value_at(curve, step)) is not None] for step in steps]
    return steps, [min(values) for values in at], [max(values) for values in at]


def _value_at(curve: Curve, step: float) -> float | None:
    """The loss at the nearest earlier point; None outside of the curve."""
    if not curve.steps[0] <= step <= curve.steps[-1]:
        return None
    return curve.losses[bisect.bisect_right(curve.steps, step) - 1]


def _label_loss(axes: Any, curves: Sequence[Curve]) -> None:
    losses = [loss for curve in curves for loss in curve.losses]
    if min(losses) > 0 and max(losses) / min(losses) > _WIDE:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=min(0.0, *losses))
    axes.grid(axis="y", color=GREY, linewidth=0.6)
    axes.set_axisbelow(True)
