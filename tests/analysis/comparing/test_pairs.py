"""Settings held against each other: by row, over seeds, corrected for how many comparisons there are."""

from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import fmean, stdev

import pytest

from ckgit.analysis.comparing.pairs import MOST_PAIRS, compare_pairs
from ckgit.analysis.comparing.scored import summaries
from ckgit.analysis.sections.comparisons import words
from ckgit.analysis.statistics.contrast import ScoredSetting, Term, margins
from ckgit.experiment.claims.verdicts import Quantity
from ckgit.experiment.design.model import RunType
from ckgit.experiment.results import CellResult, Metric, RunRow, Sample
from tests.analysis.build import cell


def scored(run: str, scores: Sequence[float | None], **changes: object) -> CellResult:
    known = [score for score in scores if score is not None]
    metric = Metric(scorer="match", name="accuracy", value=fmean(known), samples=len(known), asked=len(scores))
    samples = tuple(Sample(id=at, scores={"match": score}, target="A") for at, score in enumerate(scores))
    return cell(run, 0, **{"metrics": (metric,), "samples": samples, **changes})


def row(name: str, setting: str, *cells: CellResult, kind: RunType = RunType.FINE_TUNED, **changes: object) -> RunRow:
    return RunRow(name=name, setting=setting, type=kind, cells=cells, **changes)  # type: ignore[arg-type]


def drawn(seed: int, share: float, rows: int = 60) -> list[float]:
    chance = random.Random(seed)  # noqa: S311 - test data
    return [float(chance.random() < share) for _ in range(rows)]


def six_runs() -> list[RunRow]:
    """Two settings of three seeds each."""
    return [
        row(f"{name}_{seed}", name, scored(f"{name}_{seed}", drawn(10 * seed + place, share)))
        for place, (name, share) in enumerate((("low", 0.4), ("high", 0.8)))
        for seed in range(3)
    ]


def test_settings_with_seeds_are_compared_over_all_of_them() -> None:
    [pair] = compare_pairs(six_runs(), {}).pairs
    low, high = (ScoredSetting(tuple(tuple(drawn(10 * seed + place, share)) for seed in range(3))) for place, share in ((0, 0.4), (1, 0.8)))
    expected = margins([Term(1.0, low), Term(-1.0, high)], [low, high], unit=True)
    assert (pair.left, pair.right, pair.rows, pair.seeds, pair.quantity) == ("low", "high", 60, (3, 3), Quantity.SETTINGS)
    assert (pair.low, pair.high, pair.level) == (expected.low, expected.high, 0.95)
    assert pair.p is not None
    touching = margins([Term(1.0, low), Term(-1.0, high)], [low, high], unit=True, level=1 - pair.p)
    assert touching.high == pytest.approx(0, abs=1e-2)
    assert pair.adjusted == pair.p


def test_a_setting_has_its_mean_spread_and_interval_and_names_the_run_that_is_missing() -> None:
    gone = row("low_3", "low", missing=("low_3/eval/x: killed",))
    low, high = summaries([*six_runs(), gone], {})
    assert low.mean == fmean(low.scores)
    assert low.sd == stdev(low.scores)
    assert low.low is not None
    assert low.low < low.mean < (low.high or 0)
    assert (low.missing, high.missing, low.quantity) == (("low_3",), (), Quantity.SETTINGS)


def test_one_run_a_side_is_about_the_models_and_level_follows_from_how_many_there_are() -> None:
    runs = [
        row(name, f"rank {name}", scored(name, drawn(place, share)))
        for place, (name, share) in enumerate(zip("abc", (0.2, 0.5, 0.9), strict=True))
    ]
    pairs = compare_pairs(runs, {}).pairs
    assert [(pair.left, pair.right) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert {(pair.quantity, pair.interval, pair.p_method) for pair in pairs} == {(Quantity.MODELS, "Bonett-Price", "McNemar mid-p")}
    assert {pair.level for pair in pairs} == {1 - 0.05 / 3}
    assert all(pair.adjusted is not None and pair.p is not None and pair.adjusted >= pair.p for pair in pairs)


def test_other_rows_are_not_compared_and_missing_scores_are_taken_at_worst_and_at_best() -> None:
    other = scored("c", drawn(2, 0.5, rows=30))
    some = scored("b", [None, *drawn(1, 0.5)[1:]])
    runs = [row("a", "x", scored("a", drawn(0, 0.5))), row("b", "y", some), row("c", "z", other)]
    by_names = {(pair.left, pair.right): pair for pair in compare_pairs(runs, {}).pairs}
    assert by_names["x", "z"].why_not == "they answered other rows"
    assert by_names["x", "z"].low is None
    held = by_names["a", "b"]
    assert held.interval == "Bonett-Price, missing scores at worst and at best"
    assert held.p is None


def test_of_very_many_each_is_held_against_the_control_and_that_is_said() -> None:
    runs = [row(f"r{at:02}", f"s{at:02}", scored(f"r{at:02}", drawn(at, 0.5))) for at in range(20)]
    control = row("base", "base", scored("base", drawn(99, 0.3)), kind=RunType.CONTROL)
    found = compare_pairs([*runs, control], {})
    assert len(found.pairs) == 20 < MOST_PAIRS
    assert {pair.right for pair in found.pairs} == {"base"}
    assert found.not_made == ("capitalization: 21 settings make 210 pairs; 20 are compared, each with the control, base",)
    assert {pair.level for pair in found.pairs} == {1 - 0.05 / 20}
    best = compare_pairs(runs, {})
    assert "the best of them" in best.not_made[0]
    # with 19 some pair is found in 25 of 100 experiments that have none
    assert best.not_made[0].endswith("so they are corrected for all 190")
    assert {pair.level for pair in best.pairs} == {1 - 0.05 / 190}
    least = min(best.pairs, key=lambda pair: pair.p or 0)
    assert least.adjusted == min(1.0, 190 * (least.p or 0))


def test_rows_that_belong_together_count_as_clusters() -> None:
    def clustered(name: str, share: float) -> RunRow:
        made = scored(name, drawn(len(name), share))
        samples = tuple(each.model_copy(update={"metadata": {"author": f"a{int(each.id) % 6}"}}) for each in made.samples)
        return row(name, name, made.model_copy(update={"samples": samples}))

    runs = [clustered("a", 0.4), clustered("bb", 0.8)]
    [apart], [together] = compare_pairs(runs, {}).pairs, compare_pairs(runs, {}, {"capitalization": "author"}).pairs
    assert together.interval == "margins of rows"
    assert (together.high or 0) - (together.low or 0) > (apart.high or 0) - (apart.low or 0)


def test_an_interval_that_leaves_out_0_is_not_called_noise_without_a_word() -> None:
    left, right = [1.0] * 8 + [0.0] * 2, [0.0] * 8 + [1.0] * 2
    [pair] = compare_pairs([row("a", "x", scored("a", left)), row("b", "y", scored("b", right))], {}).pairs
    assert pair.adjusted is not None
    assert pair.low is not None
    assert pair.adjusted > 0.05
    assert pair.low > 0
    assert words(pair) == "within noise by Holm's test, barely: the interval leaves out 0"
