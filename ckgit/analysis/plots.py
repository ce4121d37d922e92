"""The report's two pictures as SVG. The same results give the same bytes, whatever the user's matplotlib settings are."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from ckgit.analysis.statistics import Z95
from ckgit.experiment.results import LossPoint, Results, RunRow

# Okabe and Ito's palette, made to be told apart by colour-blind readers; without yellow, which is pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
INK, GREY = "#222222", "#d9d9d9"
OVERLAID = 6  # more loss curves than these get a panel each
MOST_PANELS = 60
COLUMNS = 4
MOST_POINTS = 400  # of one curve
_SETTINGS = {
    "svg.hashsalt": "ckgit",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.titlesize": 9,
    "axes.formatter.use_locale": False,
    "axes.formatter.useoffset": False,
    "legend.frameon": False,
}


class Curve(NamedTuple):
    """A loss curve with no more points than can be seen."""

    steps: list[float]
    losses: list[float]


def loss_plot(results: Results) -> bytes | None:
    """Training loss by step of each fine-tuned run; None when none was trained."""
    runs = [run for run in results.runs if run.training and run.training.losses]
    if not runs:
        return None
    with _drawing():
        return _svg(_overlaid(runs) if len(runs) <= OVERLAID else _panels(runs))


@contextmanager
def _drawing() -> Iterator[None]:
    """matplotlib's own defaults and ours, never the user's."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def _svg(figure: Any) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": "ckgit"})
    return out.getvalue()


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


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
    figure = _figure(7.5, 3.6)
    axes = figure.subplots()
    for position, (run, curve) in enumerate(zip(runs, _curves(runs), strict=True)):
        colour = COLOURS[position % len(COLOURS)]
        axes.plot(*curve, color=colour, alpha=0.25, linewidth=0.8)
        axes.plot(*smoothed(curve), color=colour, linewidth=1.8, label=run.name)
    _label_loss(axes, _curves(runs))
    axes.set(xlabel="optimizer step", ylabel="training loss")
    figure.legend(loc="outside right upper")
    return figure


def _panels(runs: Sequence[RunRow]) -> Any:
    """A panel for each run on the same axes, before a band from the lowest to the highest loss of all runs."""
    shown = runs[:MOST_PANELS]
    curves = _curves(shown)
    rows = math.ceil(len(shown) / COLUMNS)
    figure = _figure(9, 1.6 * rows + 0.6)
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
    more = f" (the first {MOST_PANELS} of {len(runs)} runs)" if len(runs) > MOST_PANELS else ""
    figure.supxlabel(f"optimizer step; grey: range of all runs{more}", fontsize=9)
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
    import bisect

    if not curve.steps[0] <= step <= curve.steps[-1]:
        return None
    return curve.losses[bisect.bisect_right(curve.steps, step) - 1]


def _label_loss(axes: Any, curves: Sequence[Curve]) -> None:
    losses = [loss for curve in curves for loss in curve.losses]
    if min(losses) > 0 and max(losses) / min(losses) > 100:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=min(0.0, *losses))
    axes.grid(axis="y", color=GREY, linewidth=0.6)
    axes.set_axisbelow(True)


class Dot(NamedTuple):
    """One value of a run in a panel."""

    run: str
    epoch: int | None
    value: float
    stderr: float | None


def scores_plot(results: Results) -> bytes | None:
    """Every metric of every task by run, with 95 % intervals; None when nothing was evaluated."""
    panels = _score_panels(results)
    if not panels:
        return None
    with _drawing():
        return _svg(_score_figure(panels))


def _score_panels(results: Results) -> dict[str, list[Dot]]:
    """Dots by title; the scorer is named where a task has several."""
    panels: dict[str, list[Dot]] = {}
    cells = [cell for run in results.runs for cell in run.cells]
    scorers = {cell.task: {metric.scorer for other in cells if other.task == cell.task for metric in other.metrics} for cell in cells}
    for cell in cells:
        for metric in cell.metrics:
            scorer = f" ({metric.scorer})" if len(scorers[cell.task]) > 1 else ""
            dot = Dot(cell.run, cell.epoch, metric.value, metric.stderr)
            panels.setdefault(f"{cell.task}: {metric.name}{scorer}", []).append(dot)
    return panels


def _score_figure(panels: dict[str, list[Dot]]) -> Any:
    heights = [0.55 + 0.26 * len({dot.run for dot in dots}) for dots in panels.values()]
    figure = _figure(7.5, sum(heights) + 0.45 * len(panels) + 0.3)
    grid = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axes, (title, dots) in zip(grid.flat, panels.items(), strict=True):
        _score_panel(axes, title, dots)
    grid.flat[-1].set_xlabel("value; bars: 95 % interval (1.96 standard errors), where a standard error is known")
    return figure


def _score_panel(axes: Any, title: str, dots: Sequence[Dot]) -> None:
    runs = list(dict.fromkeys(dot.run for dot in dots))
    for row, run in enumerate(runs):
        own = sorted((dot for dot in dots if dot.run == run), key=lambda dot: -1 if dot.epoch is None else dot.epoch)
        for position, dot in enumerate(own):
            _draw_dot(axes, dot, row + _offset(position, len(own)), last=position == len(own) - 1, several=len(own) > 1)
    axes.set_yticks(range(len(runs)), runs)
    axes.set_ylim(len(runs) - 0.5, -0.5)
    axes.set_title(title, loc="left", fontweight="bold")
    if all(0 <= dot.value <= 1 for dot in dots):
        axes.set_xlim(-0.03, 1.08)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.grid(axis="x", color=GREY, linewidth=0.6)
    axes.set_axisbelow(True)


def _offset(position: int, count: int) -> float:
    """Epochs of one run lie below each other, within its row."""
    return 0.0 if count == 1 else 0.5 * (position / (count - 1) - 0.5)


def _draw_dot(axes: Any, dot: Dot, y: float, *, last: bool, several: bool) -> None:
    """The last epoch filled, earlier ones hollow."""
    error = None if dot.stderr is None else [Z95 * dot.stderr]
    style = {"color": COLOURS[0], "markersize": 5 if last else 4, "markerfacecolor": COLOURS[0] if last else "white"}
    axes.errorbar([dot.value], [y], xerr=error, fmt="o", capsize=2.5, elinewidth=1.2, **style)
    text = f"{dot.value:.3g}" + (f" (epoch {dot.epoch})" if several else "")
    axes.annotate(text, (dot.value, y), xytext=(0, 4), textcoords="offset points", ha="center", fontsize=6.5, color=INK)
