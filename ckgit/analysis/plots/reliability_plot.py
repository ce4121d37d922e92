"""The reliability diagram: how often the likeliest label is right, by how sure the model was of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ckgit.analysis.comparing.main_metric import last_of
from ckgit.analysis.plots.drawing import COLOURS, GREY, INK, Picture, drawing, new_figure, picture
from ckgit.analysis.statistics.intervals import wilson
from ckgit.experiment.measured.measures import ReliabilityBin
from ckgit.experiment.results import Results, place_of_checkpoint
from ckgit.formats.listing import plural

MOST_PANELS = 24  # further ones are in results.json
COLUMNS = 4
_SAID = 12  # panels that the words name
_LEAST = 10  # rows of a bin with an interval


class Panel(NamedTuple):
    """One evaluation."""

    title: str
    bins: Sequence[ReliabilityBin]


def reliability_plot(results: Results) -> Picture | None:
    """A panel for each run's last evaluation on a task with probabilities; None when there is none."""
    panels = _panels(results)
    if not panels:
        return None
    with drawing():
        return picture(_figure(panels), _words(panels))


def _words(panels: Sequence[Panel]) -> str:
    """What the picture shows."""
    named = "; ".join(panel.title for panel in panels[:_SAID])
    return (
        f"Reliability: share of rows whose likeliest label is right, by its probability, for {plural(len(panels), 'evaluation')}: {named}."
    )


def _panels(results: Results) -> list[Panel]:
    found = []
    tasks = dict.fromkeys(cell.task for run in results.runs for cell in run.cells)
    for task in tasks:
        for cell in last_of(results.runs, task):
            if cell.measures and cell.measures.reliability:
                place = place_of_checkpoint(cell.epoch, cell.checkpoint)
                of_task = f"{task}: " if len(tasks) > 1 else ""
                found.append(Panel(f"{of_task}{cell.run}" + (f" ({place})" if place else ""), cell.measures.reliability))
    return found


def _figure(panels: Sequence[Panel]) -> Any:
    shown = panels[:MOST_PANELS]
    columns = min(COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = new_figure(max(3.2, 2.3 * columns), 2.3 * rows + 0.5)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for position, axes in enumerate(grid.flat):
        if position < len(shown):
            _draw(axes, shown[position])
        else:
            axes.set_axis_off()
    more = f"; the first {MOST_PANELS} of {len(panels)}" if len(panels) > MOST_PANELS else ""
    figure.supxlabel(f"probability of the likeliest label (area: rows{more})", fontsize=9)
    figure.supylabel("share that is right", fontsize=9)
    return figure


def _draw(axes: Any, panel: Panel) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1.2, linestyle="--")
    most = max(each.rows for each in panel.bins)
    for each in panel.bins:
        if each.rows >= _LEAST:
            ends = wilson(each.right * each.rows, each.rows)
            axes.plot([each.sureness] * 2, [ends.low, ends.high], color=COLOURS[0], linewidth=1.2)
    sizes = [8 + 70 * each.rows / most for each in panel.bins]
    points = [each.sureness for each in panel.bins], [each.right for each in panel.bins]
    axes.scatter(*points, s=sizes, color=COLOURS[0], edgecolor=INK, linewidth=0.5, zorder=3)
    axes.set_title(panel.title if len(panel.title) <= 34 else f"{panel.title[:33]}…", loc="left")  # noqa: PLR2004 - what fits
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axes.set_aspect("equal")
    axes.grid(color=GREY, linewidth=0.4)
    axes.set_axisbelow(True)
