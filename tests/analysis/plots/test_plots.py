import hashlib
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ckgit.analysis.assemble import assemble
from ckgit.analysis.plots.curves import MOST_POINTS, smoothed, thinned
from ckgit.analysis.plots.design_plot import design_plot
from ckgit.analysis.plots.drawing import Picture
from ckgit.analysis.plots.loss_plot import loss_plot
from ckgit.analysis.plots.margins_plot import margins_plot
from ckgit.analysis.plots.scores_plot import scores_plot
from ckgit.analysis.sections.preferences import preferences_section
from ckgit.experiment.accounting import Accounting
from ckgit.experiment.claims.verdicts import Registered
from ckgit.experiment.results import ACCURACIES, CHOSEN, MARGINS, REJECTED, LossPoint, Metric, Results, Sample
from tests.analysis.build import cell, context, jobs, left, training

Axes = pytest.importorskip("matplotlib.axes").Axes
ABOUT = {"name": "cap_lora", "question": "q", "date": "2026-11-23"}
DRAW = """\
import hashlib
from tests.analysis.plots.test_plots import both
for picture in both():
    print(hashlib.sha256(picture).hexdigest())
"""


def two_runs() -> Results:
    here = context()
    return assemble(here, jobs(here), left(here, {"rank4": 30, "rank8": 36, "base": 2}), {}, Accounting())


def many_runs(count: int) -> Results:
    here = context(
        variables={"lora_rank": list(range(1, count + 1))}, experiment=ABOUT, evaluation={"tasks": [{"name": "a"}, {"name": "b"}]}
    )
    found = {f"{run.name}/finetune": [training(run.name, steps=30)] for run in here.plan.training}
    cells = {f"{c.run}/eval/{c.name}": [cell(c.run, 7, epoch=c.epoch, task=c.task.name, tokens=None)] for c in here.plan.cells}
    return assemble(here, jobs(here), found | cells, {}, Accounting())


def both() -> list[bytes]:
    found = two_runs()
    drawn = (loss_plot(found), scores_plot(found), design_plot(found))
    return [content for picture in drawn if picture for content in picture.files("x").values()]


def comments(picture: Picture) -> str:
    """Text in a picture: glyphs are drawn as outlines, and matplotlib leaves the text beside them as a comment."""
    return picture.svg.decode()


@pytest.mark.parametrize("draw", [loss_plot, scores_plot])
def test_a_picture_is_whole_and_names_every_run(draw) -> None:
    picture = draw(two_runs())
    assert ET.fromstring(picture.svg).tag.endswith("svg")  # noqa: S314 - our own bytes
    for name in ("rank4", "rank8", *(["base"] if draw is scores_plot else [])):
        assert f"<!-- {name} -->" in comments(picture)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({"rank4": 3990, "rank8": 4010}, ["tokens seen in training (66.67 a step)"]),  # seeds may drop other rows
        ({"rank4": 3000, "rank8": 7200}, ["tokens seen in training", "7000"]),
        ({"rank4": 3000, "rank8": None}, []),
    ],
)
def test_losses_are_drawn_over_tokens_where_all_are_counted(seen: dict[str, int | None], said: list[str]) -> None:
    found = two_runs()
    runs = [
        run.model_copy(update={"training": run.training.model_copy(update={"tokens_seen": seen[run.name]})}) if run.training else run
        for run in found.runs
    ]
    picture = loss_plot(found.model_copy(update={"runs": tuple(runs)}))
    assert picture is not None
    for words in said:
        assert f"<!-- {words} -->" in comments(picture)
    assert ("tokens" in comments(picture)) == bool(said)


def test_no_picture_needs_a_font() -> None:
    for picture in filter(None, (draw(two_runs()) for draw in (loss_plot, scores_plot, design_plot))):
        assert b"/FontFile" not in picture.pdf
        assert b"/BaseFont" not in picture.pdf
        assert b"<text" not in picture.svg


def test_twenty_runs_have_a_panel_each_and_a_row_each() -> None:
    found = many_runs(20)
    for picture in (loss_plot(found), scores_plot(found)):
        assert picture is not None
        for number in range(20):
            assert f"<!-- rank{number + 1} -->" in comments(picture)


def test_of_very_many_runs_it_is_said_how_many_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckgit.analysis.plots.loss_plot.MOST_PANELS", 8)
    monkeypatch.setattr("ckgit.analysis.plots.scores_plot.MOST_RUNS", 8)
    found = many_runs(9)
    for picture, runs in ((loss_plot(found), 9), (scores_plot(found), 10)):
        assert picture is not None
        assert f"the first 8 of {runs} runs" in comments(picture)
        assert "<!-- rank8 -->" in comments(picture)
        assert "<!-- rank9 -->" not in comments(picture)


def test_a_value_without_an_interval_has_no_bar() -> None:
    here = context(experiment=ABOUT, variables={})
    bare = cell("base", 20, metrics=(Metric(scorer="match", name="loss", value=0.7, samples=40),))
    with_bar = cell("base", 39)
    found = [assemble(here, jobs(here), {"base/eval/capitalization_base": [each]}, {}, Accounting()) for each in (bare, with_bar)]
    drawn = list(map(scores_plot, found))
    bars = [re.findall(rb'<g id="LineCollection_1">\s*<path (d=)?', picture.svg if picture else b"") for picture in drawn]
    assert bars == [[b""], [b"d="]]


def test_bars_are_those_of_the_results_and_missing_scores_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    here = context(experiment=ABOUT, variables={})
    scores = [1.0] * 38 + [None] * 2
    samples = tuple(Sample(id=place, scores={"match": score}) for place, score in enumerate(scores))
    some = cell("base", 0, metrics=(Metric(scorer="match", name="accuracy", value=1.0, samples=38, asked=40),), samples=samples)
    found = assemble(here, jobs(here), {"base/eval/capitalization_base": [some]}, {}, Accounting())
    drawn: list[Any] = []
    bars = Axes.errorbar
    monkeypatch.setattr(Axes, "errorbar", lambda axes, *args, **options: (drawn.append(options["xerr"]), bars(axes, *args, **options))[1])
    picture = scores_plot(found)
    assert picture
    assert drawn == [[[pytest.approx(1 - 0.835, abs=5e-4)], [0.0]]]  # Wilson of 38 of 40, up to Wilson of 40 of 40: 1
    assert "<!-- 1 (38 of 40 scored) -->" in comments(picture)
    assert "<!-- value (bars: 95 % over rows: this model, rows like these) -->" in comments(picture)


def test_an_undefined_metric_is_written_where_its_dot_would_be() -> None:
    here = context(experiment=ABOUT, variables={})
    metrics = tuple(Metric(scorer="match", name=name, value=value, samples=40) for name, value in (("accuracy", 0.5), ("auc", None)))
    found = assemble(here, jobs(here), {"base/eval/capitalization_base": [cell("base", 20, metrics=metrics)]}, {}, Accounting())
    picture = scores_plot(found)
    assert picture
    for text in ("capitalization: accuracy (exploratory)", "0.5", "capitalization: auc (exploratory)", "undefined"):
        assert f"<!-- {text} -->" in comments(picture)


@pytest.mark.parametrize(
    ("registered", "mark"),
    [(None, ""), (Registered.BEFORE, ""), (Registered.CHANGED, " (exploratory)"), (Registered.ADDED, " (exploratory)")],
)
@pytest.mark.parametrize("draw", [scores_plot, design_plot])
def test_a_metric_is_marked_that_nothing_claimed_before_the_results_is_about(draw, registered: Registered | None, mark: str) -> None:
    found = two_runs()
    claims = [each.model_copy(update={"registered": registered}) for each in found.claims]
    picture = draw(found.model_copy(update={"claims": tuple(claims)}))
    assert f"<!-- capitalization: accuracy{mark} -->" in comments(picture)
    assert f"accuracy{mark} " in picture.words
    of_another_scorer = [each.model_copy(update={"claim": each.claim.model_copy(update={"scorer": "other"})}) for each in claims]
    assert "(exploratory)" in draw(found.model_copy(update={"claims": tuple(of_another_scorer)})).words


def test_nothing_to_draw() -> None:
    here = context(experiment=ABOUT)
    empty = assemble(here, jobs(here), {}, {}, Accounting())
    assert (loss_plot(empty), scores_plot(empty)) == (None, None)


@pytest.mark.slow
def test_other_processes_draw_the_same_bytes(tmp_path: Path) -> None:
    expected = [hashlib.sha256(picture).hexdigest() for picture in both()]
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nsvg.hashsalt: other\naxes.grid: True\nlines.linewidth: 9\n")
    for seed, locale, zone in (("1", "C", "UTC"), ("77", "de_DE.UTF-8", "Asia/Kolkata")):
        settings = {
            "PYTHONHASHSEED": seed,
            "LC_ALL": locale,
            "TZ": zone,
            "MATPLOTLIBRC": str(tmp_path),
            "MPLBACKEND": "module://of.a.notebook",
        }
        drawn = subprocess.run([sys.executable, "-c", DRAW], env={**os.environ, **settings}, capture_output=True, text=True, check=True)
        assert drawn.stdout.split() == expected


def test_a_long_curve_is_thinned_without_moving_it() -> None:
    points = [LossPoint(step=step, loss=1 / step) for step in range(1, 100_001)]
    curve = thinned(points)
    assert len(curve.steps) <= MOST_POINTS
    assert curve.steps[0] < curve.steps[-1] < 100_001
    assert curve.losses == sorted(curve.losses, reverse=True)
    assert thinned(points[:50]).losses == [point.loss for point in points[:50]]


def test_a_running_mean_looks_back_only() -> None:
    curve = smoothed(thinned([LossPoint(step=step, loss=float(step > 50)) for step in range(1, 101)]))
    assert curve.losses[49] == 0.0
    assert 0 < curve.losses[50] < 1
    assert curve.losses[60] == 1.0


def held_out(found: Results, losses: Sequence[float]) -> Results:
    """The same results, of runs whose loss on rows that were held out was measured every four steps."""
    measured = tuple(LossPoint(step=4 * at, loss=loss) for at, loss in enumerate(losses, start=1))
    runs = [
        run.model_copy(update={"training": run.training.model_copy(update={"validation": measured})}) if run.training else run
        for run in found.runs
    ]
    return found.model_copy(update={"runs": tuple(runs)})


@pytest.mark.parametrize("found", [two_runs(), many_runs(8)], ids=["overlaid", "panels"])
def test_losses_on_rows_that_were_held_out_are_circles_and_the_lowest_is_filled(found: Results, monkeypatch) -> None:
    plotted = []
    stock = Axes.plot
    monkeypatch.setattr(Axes, "plot", lambda axes, *data, **how: plotted.append((data, how)) or stock(axes, *data, **how))
    trained = [run.name for run in found.runs if run.training]
    picture = loss_plot(held_out(found, [2.0, 0.5, 9.5]))
    assert picture
    circles = [(data, how.get("markerfacecolor")) for data, how in plotted if how.get("marker") == "o"]
    assert circles == [(([4.0, 8.0, 12.0], [2.0, 0.5, 9.5]), "white"), ((8, 0.5), None)] * len(trained)
    assert "training and validation loss" in comments(picture)
    assert "circles: on rows held out, filled: the lowest" in comments(picture)
    assert f" Lowest validation loss: {trained[0]} 0.5 at step 8, {trained[1]} 0.5 at step 8" in picture.words
    without = loss_plot(found)
    assert without
    assert "circles" not in comments(without)
    assert "alidation" not in without.words


def rewards(step: int) -> dict[str, float]:
    return {CHOSEN: 0.01 * step, REJECTED: -0.01 * step, MARGINS: 0.02 * step, ACCURACIES: min(1.0, 0.5 + 0.05 * step)}


def preferred(found: Results) -> Results:
    """The same results, of runs that were trained on preferences."""
    runs = []
    for run in found.runs:
        points = run.training.losses if run.training else ()
        told = tuple(point.model_copy(update={"metrics": rewards(step)}) for step, point in enumerate(points))
        trained = run.training.model_copy(update={"losses": told, "validation": told[-1:]}) if run.training else None
        runs.append(run.model_copy(update={"training": trained}))
    return found.model_copy(update={"runs": tuple(runs)})


def test_margins_are_drawn_and_told_of_preferences_alone():
    assert (margins_plot(two_runs()), preferences_section(two_runs().runs, {})) == (None, "")
    found = preferred(two_runs())
    picture = margins_plot(found)
    assert picture
    assert picture.words.endswith("at the end: rank4 at 1.16, above 0 in 100% of pairs; rank8 at 1.16, above 0 in 100% of pairs.")
    assert (picture, "margin of rewards" in comments(picture)) == (margins_plot(found), True)
    section = preferences_section(found.runs, {"margins.svg": picture.words})
    assert "| rank4 | 0.58 | -0.58 | 1.16 | 100% | 1.18 | 100% |" in section
    assert "](margins.svg)" in section
    many = margins_plot(preferred(many_runs(30)))
    assert many
    assert "; the first 20 of 30" in comments(many)
