"""The main metric of each task as the design varies it: a map over two variables, lines over a number, bars over categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ckgit.analysis.plots.drawing import COLOURS, GREY, HATCHES, INK, Picture, drawing, new_figure, picture, short
from ckgit.analysis.plots.heat_map import draw_map
from ckgit.analysis.plots.standing import standing
from ckgit.experiment.claims.verdicts import Quantity
from ckgit.experiment.design.model import RunType
from ckgit.experiment.measured.compared import SettingSummary
from ckgit.experiment.results import Results
from ckgit.formats.listing import plural
from ckgit.formats.markdown import number, with_ends

MOST_TASKS = 6  # further ones are in the tables
MOST_BARS = 14  # more settings are points, below each other
MOST_POINTS = 60
_SPREAD = 8  # the largest over the smallest value from which an axis is logarithmic
_TWO = 2
_LEVEL = 5  # bars whose labels fit side by side
_LABEL = 24  # characters of a label
_SAID = 12  # settings that the words name


class TaskPanel(NamedTuple):
    """One task: the settings that vary, and those that stand beside them."""

    title: str
    varying: Sequence[SettingSummary]
    controls: Sequence[SettingSummary]
    variables: Sequence[str]

    @property
    def shape(self) -> str:
        """How it is drawn."""
        if len(self.variables) == 1 and numbers(self.varying, self.variables[0]):
            return "lines"
        if len(self.variables) == _TWO and len({tuple(_values(each, self.variables)) for each in self.varying}) == len(self.varying):
            return "map"
        return "bars" if len(self.varying) <= MOST_BARS else "points"


def design_plot(results: Results) -> Picture | None:
    """The picture; None where nothing has a value."""
    panels = _panels(results)
    if not panels:
        return None
    with drawing():
        heights = [_height(panel) for panel in panels]
        figure = new_figure(7.5, sum(heights))
        grid = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
        for axes, panel in zip(grid.flat, panels, strict=True):
            _DRAW[panel.shape](axes, panel)
            axes.set_title(panel.title, loc="left", fontweight="bold")
        figure.supxlabel(_said_of_bars(panels), fontsize=7.5)
        return picture(figure, " ".join(map(_words, panels)))


def numbers(settings: Sequence[SettingSummary], variable: str) -> list[float] | None:
    """The values of a variable as numbers; None where one is none."""
    try:
        return [float(each.varied[variable]) for each in settings]
    except (ValueError, KeyError):
        return None


def _panels(results: Results) -> list[TaskPanel]:
    found = []
    for task in dict.fromkeys(each.task for each in results.settings):
        known = [each for each in results.settings if each.task == task and each.mean is not None]
        varying = [each for each in known if each.type is RunType.FINE_TUNED] or known
        controls = [each for each in known if each not in varying]
        names = dict.fromkeys(name for each in varying for name in each.varied)
        variables = [name for name in names if len({each.varied.get(name) for each in varying}) > 1]
        if known:
            title = f"{task}: {known[0].metric}{standing(results, task, known[0].scorer, known[0].metric)}"
            found.append(TaskPanel(title, varying, controls, variables))
    return found[:MOST_TASKS]


def _values(setting: SettingSummary, variables: Sequence[str]) -> list[str]:
    return [setting.varied.get(name, "") for name in variables]


def _height(panel: TaskPanel) -> float:
    if panel.shape == "points":
        return 0.9 + 0.19 * min(len(panel.varying), MOST_POINTS)
    if panel.shape == "map":
        return max(2.6, 1.2 + 0.42 * len({each.varied.get(panel.variables[0]) for each in panel.varying}))
    return 3.0


def _said_of_bars(panels: Sequence[TaskPanel]) -> str:
    """What the bars are about, which depends on whether settings were trained more than once."""
    about = {each.quantity for panel in panels for each in (*panel.varying, *panel.controls)}
    parts = ["these settings, any seed, rows like these"] if Quantity.SETTINGS in about else []
    parts += ["these models, rows like these; other seeds may differ"] if Quantity.MODELS in about else []
    return f"95 % intervals: {' / '.join(parts)}" if parts else "no interval is known"


def _reach(setting: SettingSummary) -> tuple[float, float]:
    if setting.low is None or setting.high is None or setting.mean is None:
        return float("nan"), float("nan")
    return max(setting.mean - setting.low, 0.0), max(setting.high - setting.mean, 0.0)


def _errors(settings: Sequence[SettingSummary]) -> list[list[float]]:
    return [list(side) for side in zip(*map(_reach, settings), strict=True)]


def _lines(axes: Any, panel: TaskPanel) -> None:
    [variable] = panel.variables
    placed = sorted(zip(numbers(panel.varying, variable) or [], panel.varying, strict=True), key=lambda each: each[0])
    xs, settings = [x for x, _ in placed], [each for _, each in placed]
    axes.errorbar(xs, [each.mean for each in settings], yerr=_errors(settings), fmt="o-", color=COLOURS[0], capsize=3, linewidth=1.4)
    for x, each in placed:
        if len(each.scores) > 1:
            axes.plot([x] * len(each.scores), each.scores, linestyle="", marker="_", color=INK, markersize=8, markeredgewidth=0.8)
    if min(xs) > 0 and max(xs) / min(xs) >= _SPREAD:
        axes.set_xscale("log")
    axes.set_xticks(xs, [each.varied[variable] for each in settings])
    axes.minorticks_off()
    axes.set_xlabel(variable + (" (dashes: single runs)" if any(len(each.scores) > 1 for each in settings) else ""))
    _finish(axes, panel)


def _bars(axes: Any, panel: TaskPanel) -> None:
    settings = panel.varying
    places = range(len(settings))
    hatches = [HATCHES[place % len(HATCHES)] for place in places]
    options = {"color": "white", "edgecolor": COLOURS[0], "capsize": 3, "width": 0.6}
    axes.bar(places, [each.mean for each in settings], yerr=_errors(settings), hatch=hatches, **options)
    for place, each in zip(places, settings, strict=True):
        if len(each.scores) > 1:
            axes.plot([place + 0.2] * len(each.scores), each.scores, linestyle="", marker="o", color=INK, markersize=3)
    labels = [short(_short(each, panel), _LABEL) for each in settings]
    axes.set_xticks(places, labels, rotation=0 if len(settings) <= _LEVEL else 30, ha="center")
    axes.set_xlim(-0.6, len(settings) - 0.4)
    _finish(axes, panel)


def _points(axes: Any, panel: TaskPanel) -> None:
    """The settings below each other, the highest first; of too many the first and the last ones."""
    ordered = sorted(panel.varying, key=lambda each: -(each.mean or 0.0))
    half = MOST_POINTS // 2
    shown = ordered if len(ordered) <= MOST_POINTS else [*ordered[:half], *ordered[-half:]]
    places = range(len(shown))
    axes.errorbar([each.mean for each in shown], places, xerr=_errors(shown), fmt="o", color=COLOURS[0], capsize=2, markersize=3.5)
    axes.set_yticks(places, [short(_short(each, panel), 2 * _LABEL) for each in shown], fontsize=6.5)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    if len(shown) < len(ordered):
        axes.axhline(half - 0.5, color=INK, linewidth=0.8, linestyle=":")
        left_out = f"{len(ordered) - len(shown):,} between them are not drawn"
        axes.annotate(left_out, (1, half - 0.5), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=6.5)
    for control in panel.controls:
        axes.axvline(control.mean, color=INK, linestyle="--", linewidth=1)
    axes.set_xlabel(panel.varying[0].metric + "".join(f"; dashed: {each.setting}" for each in panel.controls[:1]))
    axes.grid(axis="x", color=GREY, linewidth=0.6)
    axes.set_axisbelow(True)


def _map(axes: Any, panel: TaskPanel) -> None:
    draw_map(axes, panel.varying, panel.variables[0], panel.variables[1])
    beside = [f"{each.setting} {number(each.mean)}" for each in panel.controls]
    if beside:
        axes.annotate(f"beside it: {', '.join(beside)}", (1, 1.01), xycoords="axes fraction", ha="right", va="bottom", fontsize=7.5)


_DRAW = {"lines": _lines, "bars": _bars, "points": _points, "map": _map}


def _short(setting: SettingSummary, panel: TaskPanel) -> str:
    """A setting by what varies in it."""
    if not panel.variables:
        return setting.setting
    if len(panel.variables) == 1:
        return setting.varied.get(panel.variables[0], setting.setting)
    return ", ".join(f"{name} {setting.varied.get(name, '')}" for name in panel.variables)


def _finish(axes: Any, panel: TaskPanel) -> None:
    """The controls as lines with the band of their interval; the metric's own scale."""
    for place, control in enumerate(panel.controls[:_TWO]):
        axes.axhline(control.mean, color=INK, linestyle=("--", ":")[place], linewidth=1.2, label=f"{control.setting} ({control.type})")
        if control.low is not None and control.high is not None:
            axes.axhspan(control.low, control.high, color=GREY, alpha=0.6, linewidth=0)
    if panel.controls:
        axes.legend(loc="best", fontsize=7.5)
    axes.set_ylabel(panel.varying[0].metric)
    ends = [end for each in (*panel.varying, *panel.controls) for end in (each.low, each.high, each.mean, *each.scores) if end is not None]
    if min(ends) >= 0 and max(ends) <= 1:
        axes.set_ylim(-0.03, 1.03)
    axes.grid(axis="y", color=GREY, linewidth=0.6)
    axes.set_axisbelow(True)


def _words(panel: TaskPanel) -> str:
    """What a panel shows, in words."""
    by = f" by {' and '.join(panel.variables)}" if panel.variables else ""
    shown = [f"{each.setting} {with_ends(each.mean or 0.0, each.low, each.high)}" for each in panel.varying[:_SAID]]
    more = len(panel.varying) - _SAID
    rest = f"; {plural(more, 'more setting')}" if more > 0 else ""
    beside = "".join(f"; {each.type} {each.setting} {with_ends(each.mean or 0.0, each.low, each.high)}" for each in panel.controls[:_SAID])
    return f"{panel.title}{by}: {'; '.join(shown)}{rest}{beside}."
