"""The scores by run: a panel for each metric of each task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ckgit.analysis.drawing import COLOURS, GREY, INK, drawing, new_figure, svg
from ckgit.analysis.statistics import Z95
from ckgit.experiment.results import Results

_ROW = 0.26  # inches of a run


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
    with drawing():
        return svg(_score_figure(panels))


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


def _score_figure(panels: Mapping[str, Sequence[Dot]]) -> Any:
    heights = [_height(dots) for dots in panels.values()]
    figure = new_figure(7.5, sum(heights) + 0.45 * len(panels) + 0.3)
    grid = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axes, (title, dots) in zip(grid.flat, panels.items(), strict=True):
        _score_panel(axes, title, dots)
    grid.flat[-1].set_xlabel("value; bars: 95 % interval (1.96 standard errors), where a standard error is known")
    return figure


def _height(dots: Sequence[Dot]) -> float:
    """A row for each run, higher where epochs share it."""
    per_run = Counter(dot.run for dot in dots)
    return 0.55 + _ROW * len(per_run) * max(1.0, 0.75 * max(per_run.values()))


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
    return (position - (count - 1) / 2) / count


def _draw_dot(axes: Any, dot: Dot, y: float, *, last: bool, several: bool) -> None:
    """The last epoch filled, earlier ones hollow."""
    error = None if dot.stderr is None else [Z95 * dot.stderr]
    style = {"color": COLOURS[0], "markersize": 5 if last else 4, "markerfacecolor": COLOURS[0] if last else "white"}
    axes.errorbar([dot.value], [y], xerr=error, fmt="o", capsize=2.5, elinewidth=1.2, **style)
    text = f"{dot.value:.3g}" + (f" (epoch {dot.epoch})" if several else "")
    axes.annotate(text, (dot.value, y), xytext=(0, 4), textcoords="offset points", ha="center", fontsize=6.5, color=INK)
