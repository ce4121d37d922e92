"""The picture follows from what the design varies, and says in words what it shows."""

from __future__ import annotations

from typing import Any

import pytest

from ckgit.analysis.plots.design_plot import MOST_BARS, MOST_POINTS, design_plot
from ckgit.analysis.plots.drawing import Picture
from ckgit.experiment.claims.verdicts import Quantity
from ckgit.experiment.design.model import RunType
from ckgit.experiment.measured.compared import SettingSummary
from ckgit.experiment.results import Results
from tests.analysis.build import DIGEST

pytest.importorskip("matplotlib")


def setting(
    mean: float | None = 0.5, kind: RunType = RunType.FINE_TUNED, scores: tuple[float, ...] = (0.5,), **varied: str
) -> SettingSummary:
    about = {"task": "words", "scorer": "match", "metric": "accuracy", "type": kind, "varied": varied}
    name = ", ".join(f"{key} {value}" for key, value in varied.items()) or "base"
    ends: dict[str, Any] = {} if mean is None else {"low": mean - 0.1, "high": mean + 0.1, "quantity": Quantity.SETTINGS}
    return SettingSummary(**about, setting=name, runs=("r",), scores=(0.5,), mean=mean, **ends)  # type: ignore[arg-type]


def drawn(*settings: SettingSummary) -> Picture:
    found = design_plot(Results(experiment="x", question="q", design=DIGEST, runs=(), settings=settings))
    assert found
    return found


def texts(picture: Picture) -> str:
    return picture.svg.decode()


def test_numbers_are_a_line_with_the_control_and_a_logarithmic_axis_where_they_are_spread() -> None:
    base = setting(0.1, RunType.CONTROL)
    picture = drawn(*(setting(0.3, lr=value) for value in ("1e-5", "1e-4", "1e-3")), base)
    for text in ("lr", "1e-5", "1e-3", "base (control)", "95 % intervals: these settings, any seed, rows like these"):
        assert f"<!-- {text} -->" in texts(picture)
    assert picture.words == (
        "words: accuracy (exploratory) by lr: lr 1e-5 0.300 [0.200, 0.400]; lr 1e-4 0.300 [0.200, 0.400]; lr 1e-3 0.300 [0.200, 0.400]; "
        "control base 0.100 [0.000, 0.200]."
    )


def test_two_variables_are_a_map_whose_cells_say_their_value_and_missing_is_said() -> None:
    grid = [setting(0.1 * place, a=a, b=b) for place, (a, b) in enumerate((("2", "x"), ("2", "y"), ("10", "x")), start=1)]
    found = texts(drawn(*grid))
    for text in ("0.1", "[0.00, 0.20]", "0.3", "missing", "a", "b"):
        assert f"<!-- {text} -->" in found
    assert found.index("<!-- 2 -->") > 0
    assert "<!-- base (control) -->" not in found


def test_words_are_bars_and_too_many_are_points_of_which_the_middle_is_left_out() -> None:
    words = drawn(*(setting(0.5, prompt=each) for each in ("plain", "polite")))
    assert "<!-- polite -->" in texts(words)
    assert b"<pattern id=" in words.svg  # hatches tell bars apart without colour
    many = [setting(at / 200, prompt=f"p{at:03}") for at in range(MOST_POINTS + 10)]
    assert len(many) > MOST_BARS
    found = texts(drawn(*many))
    assert "<!-- 10 between them are not drawn -->" in found
    assert "<!-- p000 -->" in found
    assert "<!-- p035 -->" not in found
    assert drawn(*many).words.endswith("58 more settings.")


def test_each_format_is_small_and_says_neither_date_nor_version() -> None:
    picture = drawn(setting(0.3, lr="1"), setting(0.6, lr="2"))
    assert (picture.svg[:5], picture.png[1:4], picture.pdf[:5]) == (b"<?xml", b"PNG", b"%PDF-")
    assert len(picture.png) < 100_000
    for content in (picture.svg, picture.png, picture.pdf):
        assert b"matplotlib" not in content.lower().replace(b"https://matplotlib.org", b"") or content is picture.svg
        assert b"CreationDate" not in content


def test_nothing_to_draw() -> None:
    assert design_plot(Results(experiment="x", question="q", design=DIGEST, runs=(), settings=(setting(None, a="1"),))) is None
