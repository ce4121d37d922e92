"""The scores by run: a panel for each metric of each task."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ckgit.analysis.plots.drawing import COLOURS, GREY, INK, Picture, drawing, new_figure, picture
from ckgit.analysis.plots.standing import standing
from ckgit.analysis.scores import scored_count
from ckgit.experiment.results import Results, place_of_checkpoint
from ckgit.formats.listing import plural
from ckgit.formats.markdown import UNDEFINED, number

MOST_RUNS = 40  # further ones are in the tables
_SAID = 12  # panels that the words name
_ROW = 0.26  # inches of a run


class Dot(NamedTuple):
    """One value of a run in a panel."""

    run: str
    epoch: int | None
    place: str  # the checkpoint in words
    value: float | None  # None: undefined, which is written where the dot would be
    low: float | None
    high: float | None
    missing: str  # how many answers have a score, where some have none


def scores_plot(results: Results) -> Picture | None:
    """Every metric of every task by run, with 95 % intervals over rows; None when nothing was evaluated."""
    panels = _score_panels(results)
    if not panels:
        return None
    with drawing():
        return picture(_score_figure(panels), _in_words(panels))


def _score_panels(results: Results) -> dict[str, list[Dot]]:
    """Dots by title; the scorer is named where a task has several."""
    panels: dict[str, list[Dot]] = {}
    cells = [cell for run in results.runs for cell in run.cells]
    scorers: dict[str, set[str]] = {}
    for cell in cells:
        scorers.setdefault(cell.task, set()).update(metric.scorer for metric in cell.metrics)
    for cell in cells:
        for metric in cell.metrics:
            scorer = f" ({metric.scorer})" if len(scorers[cell.task]) > 1 else ""
            counted = scored_count(cell, metric)
            place = place_of_checkpoint(cell.epoch, cell.checkpoint)
            dot = Dot(cell.run, cell.epoch, place, metric.value, metric.low, metric.high, "" if counted.whole else str(counted))
            title = f"{cell.task}: {metric.name}{scorer}{standing(results, cell.task, metric.scorer, metric.name)}"
            panels.setdefault(title, []).append(dot)
    return panels


def _in_words(panels: Mapping[str, Sequence[Dot]]) -> str:
    """How far the values of each panel reach."""
    said = []
    for title, dots in panels.items():
        known = [(dot.value, dot.run) for dot in dots if dot.value is not None]
        if known:
            (low, lowest), (high, highest) = min(known), max(known)
            said.append(f"{title} from {number(low)} ({lowest}) to {number(high)} ({highest})")
    runs = len({dot.run for dots in panels.values() for dot in dots})
    return f"Scores of {plural(runs, 'run')}, with 95 % intervals over rows: {'; '.join(said[:_SAID])}."


def _score_figure(panels: Mapping[str, Sequence[Dot]]) -> Any:
    runs = list(dict.fromkeys(dot.run for dots in panels.values() for dot in dots))
    shown = set(runs[:MOST_RUNS])
    drawn = {title: kept for title, dots in panels.items() if (kept := [dot for dot in dots if dot.run in shown])}
    heights = [_height(dots) for dots in drawn.values()]
    figure = new_figure(7.5, sum(heights) + 0.45 * len(drawn) + 0.3)
    grid = figure.subplots(len(drawn), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axes, (title, dots) in zip(grid.flat, drawn.items(), strict=True):
        _score_panel(axes, title, dots)
    more = f"; the first {MOST_RUNS} of {len(runs)} runs" if len(runs) > MOST_RUNS else ""
    grid.flat[-1].set_xlabel(f"value (bars: 95 % over rows: this model, rows like these{more})")
    return figure


def _height(dots: Sequence[Dot]) -> float:
    """A row for each run, higher where epochs share it."""
    per_run = Counter(dot.run for dot in dots)
    return 0.55 + _ROW * len(per_run) * max(1.0, 0.75 * max(per_run.values()))


def _score_panel(axes: Any, title: str, dots: Sequence[Dot]) -> None:
    runs = list(dict.fromkeys(dot.run for dot in dots))
    placed = [spot for row, run in enumerate(runs) for spot in _placed([dot for dot in dots if dot.run == run], row)]
    _draw(axes, [spot for spot in placed if spot.last], {"markersize": 5, "markerfacecolor": COLOURS[0]})
    _draw(axes, [spot for spot in placed if not spot.last], {"markersize": 4, "markerfacecolor": "white"})
    axes.set_yticks(range(len(runs)), runs)
    axes.set_ylim(len(runs) - 0.5, -0.5)
    axes.set_title(title, loc="left", fontweight="bold")
    if all(0 <= dot.value <= 1 for dot in dots if dot.value is not None):
        axes.set_xlim(-0.03, 1.08)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.grid(axis="x", color=GREY, linewidth=0.6)
    axes.set_axisbelow(True)


class _Spot(NamedTuple):
    """A dot with its place; of several epochs in one row, only the last is filled."""

    dot: Dot
    y: float
    last: bool
    label: str


def _placed(own: Sequence[Dot], row: int) -> list[_Spot]:
    """A run's epochs lie below each other, within its row."""
    ordered = sorted(own, key=lambda dot: -1 if dot.epoch is None else dot.epoch)
    count = len(ordered)
    return [
        _Spot(
            dot,
            row + (place - (count - 1) / 2) / count,
            place == count - 1,
            _words(dot, several=count > 1),
        )
        for place, dot in enumerate(ordered)
    ]


def _words(dot: Dot, *, several: bool) -> str:
    value = UNDEFINED if dot.value is None else f"{dot.value:.3g}"
    return value + (f" ({dot.place})" if several else "") + (f" ({dot.missing})" if dot.missing else "")


def _draw(axes: Any, spots: Sequence[_Spot], style: Mapping[str, Any]) -> None:
    known = [(spot, spot.dot.value) for spot in spots if spot.dot.value is not None]
    if known:
        values, places = [value for _, value in known], [spot.y for spot, _ in known]
        bars = [list(side) for side in zip(*(_reach(value, spot.dot) for spot, value in known), strict=True)]
        axes.errorbar(values, places, xerr=bars, fmt="o", color=COLOURS[0], capsize=2.5, elinewidth=1.2, **style)
    text = {"fontsize": 6.5, "color": INK}
    for spot, value in known:
        axes.annotate(spot.label, (value, spot.y), xytext=(0, 4), textcoords="offset points", ha="center", **text)
    for spot in spots:
        if spot.dot.value is None:
            axes.text(0.02, spot.y, spot.label, transform=axes.get_yaxis_transform(), va="center", **text)


def _reach(value: float, dot: Dot) -> tuple[float, float]:
    """How far the bar goes to both sides."""
    if dot.low is None or dot.high is None:
        return math.nan, math.nan
    return max(value - dot.low, 0.0), max(dot.high - value, 0.0)
