"""A map of settings over two variables, which can be read without colour: each cell says its value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckgit.analysis.plots.drawing import INK, short
from ckgit.experiment.measured.compared import SettingSummary

_WITH_ENDS, _WITH_VALUE = 6, 14  # columns up to which a cell says its interval, and its value
_LONGEST = 8  # characters of a label
_DARK = 0.55  # share of the range from which a cell is dark


def draw_map(axes: Any, settings: Sequence[SettingSummary], down: str, across: str) -> None:
    """The means of settings; a pair of values that has none is crossed out.

    Args:
        down: the variable of the rows.
        across: that of the columns.
    """
    rows, columns = _ordered(settings, down), _ordered(settings, across)
    found = {(each.varied.get(down), each.varied.get(across)): each for each in settings}
    values = [[_mean(found.get((row, column))) for column in columns] for row in rows]
    known = [each.mean for each in settings if each.mean is not None]
    low, high = min(known), max(known)
    axes.imshow(values, cmap="Greys", vmin=low - 0.15 * (high - low), vmax=high + 0.35 * (high - low) or 1.0, aspect="auto")
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            _cell(axes, x, y, found.get((row, column)), len(columns), (low, high))
    axes.set_xticks(range(len(columns)), [short(each, _LONGEST) for each in columns])
    axes.set_yticks(range(len(rows)), [short(each, 3 * _LONGEST) for each in rows])
    axes.set(xlabel=across, ylabel=down)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)


def _mean(setting: SettingSummary | None) -> float:
    return float("nan") if setting is None or setting.mean is None else setting.mean


def _ordered(settings: Sequence[SettingSummary], variable: str) -> list[str]:
    """The values of a variable: by number where they are numbers, otherwise as the design has them."""
    values = list(dict.fromkeys(each.varied.get(variable, "") for each in settings))
    try:
        return sorted(values, key=float)
    except ValueError:
        return values


def _cell(axes: Any, x: int, y: int, setting: SettingSummary | None, columns: int, ends: tuple[float, float]) -> None:
    if setting is None or setting.mean is None:
        axes.text(x, y, "missing" if columns <= _WITH_VALUE else "x", ha="center", va="center", fontsize=7, color=INK)
        return
    if columns > _WITH_VALUE:
        return
    low, high = ends
    dark = high > low and (setting.mean - low) / (high - low) > _DARK
    text = f"{setting.mean:.3g}"
    if columns <= _WITH_ENDS and setting.low is not None and setting.high is not None:
        text += f"\n[{setting.low:.2f}, {setting.high:.2f}]"
    axes.text(x, y, text, ha="center", va="center", fontsize=7, color="white" if dark else INK)
