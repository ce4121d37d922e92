"""What preferences were learned: by how much chosen answers are rewarded above rejected ones, and in which share of pairs they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ckgit.analysis.plots.curves import CurveGroup, epoch_steps, groups, smoothed
from ckgit.analysis.plots.drawing import COLOURS, GREY, INK, STYLES, Picture, drawing, new_figure, picture
from ckgit.analysis.plots.loss_plot import draw_group, key_of, mark_epochs
from ckgit.experiment.results import ACCURACIES, MARGINS, Results
from ckgit.formats.listing import plural
from ckgit.formats.markdown import number

MOST = 20  # settings: so many names have room beside it, and each a colour and a style of its own
_SAID = 12  # settings that the words name
_HALF = 0.5


def margins_plot(results: Results) -> Picture | None:
    """Margins and accuracies by step of each run that was trained on preferences, seeds of a setting as a band; None where none was."""
    found = [group for group in groups(results.runs) if all(_is_paired(group, metric) for metric in (MARGINS, ACCURACIES))]
    if not found:
        return None
    with drawing():
        more = f"; the first {MOST} of {len(found)}" if len(found) > MOST else ""
        return picture(_drawn(found[:MOST], more), _words(found))


def _is_paired(group: CurveGroup, metric: str) -> bool:
    return all(any(metric in point.metrics for point in training.losses) for training in group.trainings)


def _drawn(found: Sequence[CurveGroup], more: str) -> Any:
    figure = new_figure(7.5, 4.8)
    above, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3.0, 1.8]})
    for axes, metric, named in ((above, MARGINS, True), (below, ACCURACIES, False)):
        for place, group in enumerate(found):
            label = group.name if named else ""
            draw_group(axes, group, COLOURS[place % len(COLOURS)], STYLES[place % len(STYLES)], label, group.measured(metric))
        axes.grid(axis="y", color=GREY, linewidth=0.6)
        axes.set_axisbelow(True)
    above.set_ylabel("margin of rewards")
    above.axhline(0, color=INK, linewidth=0.7)
    below.set_ylabel("pairs above 0")
    below.set_ylim(0, 1.02)
    below.axhline(_HALF, color=INK, linewidth=0.7)
    ends = {tuple(epoch_steps(training)) for group in found for training in group.trainings}
    told = mark_epochs([above, below], next(iter(ends))) if len(ends) == 1 else ""
    below.set_xlabel(f"optimizer step ({key_of(found)}{told}{more})")
    figure.legend(loc="outside right upper")
    return figure


def _words(found: Sequence[CurveGroup]) -> str:
    """Where each ended."""
    said = []
    for group in found[:_SAID]:
        margin, share = (_last(group, metric) for metric in (MARGINS, ACCURACIES))
        seeds = f" ({len(group.runs)} seeds)" if len(group.runs) > 1 else ""
        said.append(f"{group.name}{seeds} at {number(margin)}, above 0 in {share:.0%} of pairs")
    more = f"; {plural(len(found) - _SAID, 'more setting')}" if len(found) > _SAID else ""
    return f"Margin of the rewards of chosen answers over rejected ones by step, at the end: {'; '.join(said)}{more}."


def _last(group: CurveGroup, metric: str) -> float:
    """The mean over the last twentieth of the steps, and over seeds."""
    curves = [smoothed(curve) for curve in group.measured(metric)]
    return math.fsum(curve.losses[-1] for curve in curves) / len(curves)
