"""The loss curves, and below them the learning rate: one picture with all settings, or a panel for each where they are many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ckgit.analysis.plots.curves import Curve, CurveGroup, band, divergence, epoch_steps, groups, smoothed, tokens_a_step
from ckgit.analysis.plots.drawing import COLOURS, GREY, INK, STYLES, Picture, drawing, new_figure, picture, short
from ckgit.experiment.results import Results
from ckgit.formats.listing import in_words, plural
from ckgit.formats.markdown import number

OVERLAID = 6  # more settings than these get a panel each
MOST_PANELS = 24
COLUMNS = 4
_KEY = "pale: as logged, strong: running mean"
_HELD_OUT = "circles: on rows held out, filled: the lowest"
_SEEDS = "band: all seeds, line: their mean"
_SAME_RATE = 0.02  # shares by which the tokens of a step may differ on one scale: seeds drop other rows of an incomplete batch
_WIDE = 100  # a largest over a smallest loss from which the axis is logarithmic
_OF_PANEL = 40  # points of a curve in a panel, which is small
_TITLE = 26  # characters of a panel's title
_SAID = 12  # runs that the words name


def loss_plot(results: Results) -> Picture | None:
    """Training loss by step of each fine-tuned run, seeds of a setting as a band; None when none was trained.

    Losses on rows that were held out are points of the same colour.
    """
    found = groups(results.runs)
    if not found:
        return None
    with drawing():
        return picture(_overlaid(found) if len(found) <= OVERLAID else _panels(found), _words(found))


def _overlaid(found: Sequence[CurveGroup]) -> Any:
    """Loss over steps, the learning rate below it, and loss over tokens where the runs saw more or fewer of them in a step."""
    rated = [group for group in found if any(point.lr is not None for point in group.trainings[0].losses)]
    trainings = [training for group in found for training in group.trainings]
    rates = [rate for training in trainings if (rate := tokens_a_step(training))]
    counted = len(rates) == len(trainings)
    alike = counted and max(rates) <= min(rates) * (1 + _SAME_RATE)
    heights = [3.6, *([1.2] if rated else []), *([3.0] if counted and not alike else [])]
    figure = new_figure(7.5, sum(heights))
    axes, *below = figure.subplots(len(heights), 1, squeeze=False, gridspec_kw={"height_ratios": heights}).flat
    _draw_all(axes, found, [group.curves for group in found], by_step=True)
    if rated:
        _draw_rates(below[0], axes, rated)
    by_step = [axes, *below[: len(rated[:1])]]
    ends = {tuple(epoch_steps(training)) for training in trainings}
    told = mark_epochs(by_step, next(iter(ends))) if len(ends) == 1 else ""
    by_step[-1].set_xlabel(f"optimizer step ({_key_of_losses(found)}{told})")
    if alike:
        _add_tokens(axes, math.fsum(rates) / len(rates))
    elif counted:
        _draw_all(below[-1], found, [group.by_tokens for group in found], by_step=False)
        below[-1].set_xlabel("tokens seen in training")
    figure.legend(loc="outside right upper")
    return figure


def _draw_all(axes: Any, found: Sequence[CurveGroup], curves: Sequence[Sequence[Curve]], *, by_step: bool) -> None:
    """All settings; by step with their names, and with what was measured on rows that were held out."""
    drawn = [curve for own in curves for curve in own]
    for place, (group, own) in enumerate(zip(found, curves, strict=True)):
        colour = COLOURS[place % len(COLOURS)]
        draw_group(axes, group, colour, STYLES[place % len(STYLES)], group.name if by_step else "", own)
        if by_step:
            _draw_held_out(axes, group, colour)
            drawn += group.held_out
    _label_loss(axes, drawn)
    axes.set_ylabel(_ylabel(found) if by_step else "training loss")


def _draw_rates(axes: Any, above: Any, rated: Sequence[CurveGroup]) -> None:
    for place, group in enumerate(rated):
        points = [point for point in group.trainings[0].losses if point.lr is not None]
        axes.plot([point.step for point in points], [point.lr for point in points], color=INK, linestyle=STYLES[place % len(STYLES)])
    axes.set_ylabel("learning rate")
    axes.sharex(above)
    above.tick_params(labelbottom=False)


def key_of(found: Sequence[CurveGroup]) -> str:
    """What pale and strong lines and bands are."""
    parts = [_SEEDS] if any(len(group.runs) > 1 for group in found) else []
    return "; ".join([*parts, *([_KEY] if any(len(group.runs) == 1 for group in found) else [])])


def _key_of_losses(found: Sequence[CurveGroup]) -> str:
    """Likewise, and what circles are."""
    return "; ".join([key_of(found), *([_HELD_OUT] if _measured(found) else [])])


def _measured(found: Sequence[CurveGroup]) -> bool:
    return any(group.held_out for group in found)


def _ylabel(found: Sequence[CurveGroup]) -> str:
    return "training and validation loss" if _measured(found) else "training loss"


def _draw_held_out(axes: Any, group: CurveGroup, colour: str) -> None:
    """The losses of each run on rows that were held out, and which of them is the lowest."""
    for steps, losses in group.held_out:
        axes.plot(steps, losses, color=colour, marker="o", markersize=4, markerfacecolor="white", linewidth=0.6, zorder=3)
    for low in filter(None, (training.lowest_validation for training in group.trainings)):
        axes.plot(low.step, low.loss, color=colour, marker="o", markersize=4, zorder=4)


def draw_group(axes: Any, group: CurveGroup, colour: str, style: str, label: str, curves: Sequence[Curve]) -> None:
    """One run as it was logged and as running mean; several as a band with their mean. `curves` are of the group's runs."""
    if len(curves) == 1:
        axes.plot(*curves[0], color=colour, alpha=0.25, linewidth=0.8)
        axes.plot(*smoothed(curves[0]), color=colour, linestyle=style, linewidth=1.8, label=label)
    else:
        found = band(curves)
        axes.fill_between(found.steps, found.lows, found.highs, color=colour, alpha=0.2, linewidth=0)
        axes.plot(found.steps, found.means, color=colour, linestyle=style, linewidth=1.8, label=label and f"{label} ({len(curves)} seeds)")
    for run, curve in zip(group.runs, curves, strict=True):
        if run.training and divergence(run.training):
            axes.plot(curve.steps[-1], curve.losses[-1], marker="X", color=INK, markersize=8, label=label and f"{run.name} diverged")


def mark_epochs(panels: Sequence[Any], ends: Sequence[float]) -> str:
    """Where epochs end, by dotted lines."""
    for axes in panels:
        for step in ends:
            axes.axvline(step, color=INK, linewidth=0.7, linestyle=":")
    return "; dotted: epochs" if ends else ""


def _add_tokens(axes: Any, rate: float) -> None:
    """A second scale above, where a step of each run has about so many tokens."""
    above = axes.secondary_xaxis("top", functions=(lambda step: step * rate, lambda tokens: tokens / rate))
    above.set_xlabel(f"tokens seen in training ({number(rate)} a step)")


def _panels(found: Sequence[CurveGroup]) -> Any:
    """A panel for each setting on the same axes, before a band from the lowest to the highest loss of all runs."""
    shown = found[:MOST_PANELS]
    curves = [curve for group in shown for curve in group.thin(_OF_PANEL)]
    drawn = [*curves, *(curve for group in shown for curve in group.held_out)]
    rows = math.ceil(len(shown) / COLUMNS)
    figure = new_figure(9, 1.6 * rows + 0.6)
    grid = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    whole = band(curves)
    told = ""
    for position, axes in enumerate(grid.flat):
        if position >= len(shown):
            axes.set_axis_off()
            continue
        group = shown[position]
        axes.fill_between(whole.steps, whole.lows, whole.highs, color=GREY, linewidth=0)
        draw_group(axes, group, COLOURS[0], "-", "", group.thin(_OF_PANEL))
        _draw_held_out(axes, group, COLOURS[0])
        gone = any(divergence(training) for training in group.trainings)
        axes.set_title(short(group.name, _TITLE) + (" (diverged)" if gone else ""), loc="left", fontsize=7.5)
        told = mark_epochs([axes], epoch_steps(group.trainings[0])) or told
        _label_loss(axes, drawn)
    what = "settings" if any(len(group.runs) > 1 for group in found) else "runs"
    more = f"; the first {MOST_PANELS} of {len(found)} {what}" if len(found) > MOST_PANELS else ""
    figure.supxlabel(f"optimizer step ({_key_of_losses(shown)}{told}; grey: range of all runs{more})", fontsize=9)
    figure.supylabel(_ylabel(shown), fontsize=9)
    return figure


def _label_loss(axes: Any, curves: Sequence[Curve]) -> None:
    losses = [loss for curve in curves for loss in curve.losses]
    if min(losses) > 0 and max(losses) / min(losses) > _WIDE:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=min(0.0, *losses))
    axes.grid(axis="y", color=GREY, linewidth=0.6)
    axes.set_axisbelow(True)


def _words(found: Sequence[CurveGroup]) -> str:
    """Where each loss began and ended."""
    said = []
    for group in found[:_SAID]:
        curves = [smoothed(curve) for curve in group.curves]
        first, last = (math.fsum(curve.losses[at] for curve in curves) / len(curves) for at in (0, -1))
        seeds = f" ({len(curves)} seeds)" if len(curves) > 1 else ""
        said.append(f"{group.name}{seeds} from {number(first)} to {number(last)}")
    more = f"; {plural(len(found) - _SAID, 'more setting')}" if len(found) > _SAID else ""
    gone = [run.name for group in found for run in group.runs if run.training and divergence(run.training)]
    diverged = f" Diverged: {in_words(gone)}." if gone else ""
    trained = [(run.name, run.training.lowest_validation) for group in found for run in group.runs if run.training]
    lowest = [f"{name} {number(point.loss)} at step {point.step}" for name, point in trained if point]
    held_out = f" Lowest validation loss: {in_words(lowest, _SAID)}." if lowest else ""
    return f"Training loss by step: {'; '.join(said)}{more}.{held_out}{diverged}"
