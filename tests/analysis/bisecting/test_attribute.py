"""Planted effects are found, intervals are those of scipy, and the words say no more than the runs."""

from __future__ import annotations

import math
import random
import re

import pytest
from scipy import stats

from ckgit.analysis.bisecting.attribute import Attribution, attribute
from ckgit.analysis.bisecting.corners import REST, cube_of
from ckgit.analysis.claims import judge  # noqa: F401 - whose methods these are
from ckgit.analysis.comparing.same_rows import UNTOLD
from ckgit.experiment.outputs.across.bisected import BisectedStep
from tests.analysis.bisecting.planted import A, B, answers, at_corners, between, numbers, placed, told

BOTH = ("lora_rank", "lr")


def two(*names: str) -> dict[str, object]:
    """Settings between A and a B that differs in two parameters."""
    return {**A, **{name: B[name] for name in names}}


def steps(found: Attribution) -> dict[tuple[str, str], BisectedStep]:
    """By the parameter that is changed, and who has the others' values."""
    return {(step.factor, "".join(step.held.values())): step for step in found.steps}


def test_a_single_parameter_is_all_that_explains_it() -> None:
    found = told({"x/a": A, "y/b": between(["lr"])}, {"x/a": numbers(0.5), "y/b": numbers(0.7)})
    [step] = found.steps
    paired = stats.ttest_rel(numbers(0.7), numbers(0.5)).confidence_interval(0.95)
    assert (step.low, step.high) == pytest.approx((paired.low, paired.high))
    assert (step.factor, step.told, step.on_way, step.about, step.level) == ("lr", "higher", True, "models", 0.95)
    assert found.wanted == []
    assert "Changing lr (1e-4 → 1e-3) raises it by" in found.answer
    assert found.answer.endswith("They differ in nothing but lr (1e-4 → 1e-3).")
    assert found.answer.startswith("For these models, on rows like these (another seed may differ): B's mean minus A's is 0.197")


@pytest.mark.parametrize("seeds", [1, 2])
def test_rows_that_belong_together_are_in_the_interval(seeds: int) -> None:
    people = tuple(at // 30 for at in range(300))
    left = [placed(f"x/a{at}", A, at) for at in range(seeds)]
    right = [placed(f"y/b{at}", between(["lr"]), at) for at in range(seeds)]
    scores = {run.name: numbers(0.5, seed=run.name) for run in left} | {run.name: numbers(0.7, seed=run.name) for run in right}
    # who a person is moves the difference of all of their rows
    moved = {name: [score + (at // 30 % 3) / 10 * name.startswith("y") for at, score in enumerate(each)] for name, each in scores.items()}
    cube = cube_of(left[0], right[0], [*left, *right], A.__contains__, REST)
    alone, together = (attribute(cube, at_corners(cube, moved, clusters=each), "mean").steps[0] for each in (None, people))
    assert alone.difference == pytest.approx(together.difference)
    assert (together.high or 0) - (together.low or 0) > 2 * ((alone.high or 0) - (alone.low or 0))


@pytest.mark.parametrize("seeds", [1, 2])
def test_where_results_do_not_say_which_rows_belong_together_there_is_no_interval(seeds: int) -> None:
    left = [placed(f"x/a{at}", A, at) for at in range(seeds)]
    right = [placed(f"y/b{at}", between(["lr"]), at) for at in range(seeds)]
    scores = {run.name: numbers(0.5, seed=run.name) for run in left} | {run.name: numbers(0.7, seed=run.name) for run in right}
    cube = cube_of(left[0], right[0], [*left, *right], A.__contains__, REST)
    people = tuple(at // 30 for at in range(300))
    old, new = (attribute(cube, at_corners(cube, scores, together=True, clusters=each), "mean") for each in (None, people))
    assert (old.gap.low, old.gap.interval, old.gap.told) == (None, None, "unknown")
    assert old.gap.difference == pytest.approx(new.gap.difference)
    assert UNTOLD in old.remarks
    assert (new.gap.told, UNTOLD in new.remarks) == ("higher", False)


def test_a_main_effect_of_one_of_two_is_found_and_the_other_is_not_claimed() -> None:
    runs = {"x/a": A, "x/rank": two("lora_rank"), "y/b": two(*BOTH)}
    found = told(runs, {"x/a": numbers(0.5), "x/rank": numbers(0.7), "y/b": numbers(0.7, seed="b")})
    by_step = steps(found)
    assert {key: step.told for key, step in by_step.items()} == {("lora_rank", "A"): "higher", ("lr", "B"): "not told apart"}
    level = 1 - 0.05 / 3  # of two steps and the gap
    paired = stats.ttest_rel(numbers(0.7), numbers(0.5)).confidence_interval(level)
    rank = by_step["lora_rank", "A"]
    assert (rank.low, rank.high, rank.level) == pytest.approx((paired.low, paired.high, level))
    assert "Of the steps, lora_rank can be told from no change." in found.answer
    assert "another order divides the gap otherwise" in found.answer
    assert "Changing lr (1e-4 → 1e-3) with lora_rank as in B makes no difference that can be told from none:" in found.answer
    assert found.gap.difference == pytest.approx(sum(step.difference or 0 for step in found.steps))
    assert "3 intervals are looked at: each has 98.33 %, so that all of them together have 95 %" in found.remarks


def test_two_parameters_each_add_and_do_not_depend_on_each_other() -> None:
    runs = {"x/a": A, "x/rank": two("lora_rank"), "x/lr": two("lr"), "y/b": two(*BOTH)}
    levels = {"x/a": 0.4, "x/rank": 0.5, "x/lr": 0.55, "y/b": 0.65}
    found = told(runs, {name: numbers(level, seed=name) for name, level in levels.items()})
    assert {step.told for step in found.steps} == {"higher"}
    assert len(found.steps) == 4
    assert sum(step.on_way for step in found.steps) == 2
    [crossed] = found.interactions
    assert crossed.told == "not told apart"
    assert not [each for each in found.remarks if "depend on each other" in each]


def test_parameters_that_depend_on_each_other_are_told_with_scipys_interval() -> None:
    runs = {"x/a": A, "x/rank": two("lora_rank"), "x/lr": two("lr"), "y/b": two(*BOTH)}
    scores = {name: numbers(level, seed=name) for name, level in {"x/a": 0.4, "x/rank": 0.4, "x/lr": 0.4, "y/b": 0.7}.items()}
    found = told(runs, scores)
    [crossed] = found.interactions
    sums = [b - rank - lr + a for b, rank, lr, a in zip(*(scores[name] for name in ("y/b", "x/rank", "x/lr", "x/a")), strict=True)]
    interval = stats.ttest_1samp(sums, 0).confidence_interval(1 - 0.05 / 6)  # four steps, one interaction, and the gap
    assert (crossed.low, crossed.high) == pytest.approx((interval.low, interval.high))
    assert crossed.told == "higher"
    assert any(
        each.startswith("lora_rank and lr depend on each other: with lr as in B, lora_rank adds more than") for each in found.remarks
    )
    alone = steps(found)
    assert (alone["lora_rank", "A"].told, alone["lora_rank", "B"].told) == ("not told apart", "higher")


def test_what_no_run_tells_is_not_divided_and_the_fewest_runs_are_wanted() -> None:
    found = told({"x/a": A, "y/b": B}, {"x/a": numbers(0.5), "y/b": numbers(0.7)})
    assert found.steps == []
    assert [each.parameters for each in found.wanted] == [{"lora_rank": 16}, {"lora_rank": 16, "lr": 1e-3}]
    assert "No run tells what lora_rank, lr and epochs account for apart from each other; 2 more settings would." in found.answer
    part = told({"x/a": A, "x/lr": between(["lr"]), "y/b": B}, {"x/a": numbers(0.5), "x/lr": numbers(0.6), "y/b": numbers(0.7)})
    assert [(step.factor, step.on_way) for step in part.steps] == [("lr", True)]
    assert [each.held for each in part.wanted] == [{"lora_rank": "B", "lr": "B", "epochs": "A"}]
    assert "No run tells what lora_rank and epochs account for" in part.answer


def test_right_and_wrong_answers_of_single_runs_have_bonett_and_prices_interval() -> None:
    scores = {"x/a": answers(0.5), "y/b": answers(0.7)}
    found = told({"x/a": A, "y/b": between(["lr"])}, scores, metric="accuracy")
    [step] = found.steps
    more = (sum(b > a for a, b in zip(*scores.values(), strict=True)) + 1) / 302
    less = (sum(b < a for a, b in zip(*scores.values(), strict=True)) + 1) / 302
    half = stats.norm.ppf(0.975) * math.sqrt((more + less - (more - less) ** 2) / 302)
    assert (step.low, step.high) == pytest.approx((more - less - half, more - less + half))


def test_seeds_make_it_about_settings_by_margins() -> None:
    chance = random.Random(7)  # noqa: S311 - test data
    shifts = {name: chance.gauss(0, 0.03) for name in ("x/a1", "x/a2", "x/a3", "y/b1", "y/b2", "y/b3")}
    runs = {name: A if "/a" in name else between(["lr"]) for name in shifts}
    scores = {name: numbers((0.5 if "/a" in name else 0.7) + shift, seed=name) for name, shift in shifts.items()}
    found = told(runs, scores)
    [step] = found.steps
    assert (step.about, step.told, step.interval) == ("settings", "higher", "margins of rows and seeds")
    assert step.before == ("x/a1", "x/a2", "x/a3")
    assert (step.low, step.high) == pytest.approx(_margins([scores[name] for name in step.after], [scores[name] for name in step.before]))
    assert "For the settings, any seed" in found.answer
    assert not [each for each in found.remarks if "two seeds" in each]


def _margins(left: list[list[float]], right: list[list[float]]) -> tuple[float, float]:
    """D ± √(t²(n-1)·max(V_r-V_i, 0) + t²(df_s)·V_s), with numpy and scipy."""
    import numpy as np

    sides = [np.array(left), np.array(right)]
    rows, df = sides[0].shape[1], sum(len(side) - 1 for side in sides)
    differences = sides[0].mean(0) - sides[1].mean(0)
    pooled = sum(side.mean(1).var(ddof=1) * (len(side) - 1) for side in sides) / df
    noise = [side - side.mean(1, keepdims=True) - side.mean(0, keepdims=True) + side.mean() for side in sides]
    own = sum((each**2).sum() / ((len(each) - 1) * (rows - 1)) / (rows * len(each)) for each in noise)
    spread = pooled * sum(1 / len(side) for side in sides)
    row_part = stats.t.ppf(0.975, rows - 1) ** 2 * max(differences.var(ddof=1) / rows - own, 0)
    half = math.sqrt(row_part + stats.t.ppf(0.975, df) ** 2 * spread)
    return differences.mean() - half, differences.mean() + half


def test_nothing_is_claimed_of_a_gap_that_chance_may_have_made() -> None:
    found = told({"x/a": A, "y/b": two(*BOTH)}, {"x/a": numbers(0.5, rows=30), "y/b": numbers(0.5, rows=30, seed="other")})
    assert found.gap.told == "not told apart"
    assert "there may be nothing to explain" in found.answer
    assert "] (95 % interval). The interval of the gap" in found.answer


def test_each_sentence_begins_as_one() -> None:
    """Also where a factor's name is words of ours, and begins in lower case."""
    everywhere = {
        "x/a": numbers(0.5),
        "x/lr": numbers(0.6),
        "x/rank": numbers(0.6, seed="r"),
        "x/b": numbers(0.6, seed="b"),
        "y/b": numbers(0.7),
    }
    cases = [
        told({"x/a": A, "y/b": between(["lr"])}, everywhere, rest="training and its settings"),
        told({"x/a": A, "y/b": {**A, "type": "control", "design.task.prompt": "{input}?"}}, everywhere, rest="training and its settings"),
        told({"x/a": A, "x/lr": between(["lr"]), "y/b": B}, everywhere),
        told({"x/a": A, "y/b": B}, everywhere),
        told({"x/a": A, "x/lr": two("lr"), "x/rank": two("lora_rank"), "y/b": two(*BOTH)}, everywhere),
        told({"x/a": A, "x/b": A}, everywhere),
    ]
    for found in cases:
        sentences = re.split(r"(?<=[a-z\])])\. ", found.answer)
        assert all(sentence[0].isupper() for sentence in sentences), found.answer
        assert "  " not in found.answer
        assert found.answer.endswith(".")
    assert "Changing training and its settings" in cases[1].answer
    assert cases[1].answer.endswith("They differ in nothing but training and its settings.")


def test_runs_that_differ_in_their_seed_alone_are_explained_by_no_parameter() -> None:
    found = told({"x/a": A, "x/b": A}, {"x/a": numbers(0.5), "x/b": numbers(0.6)})
    assert (found.steps, found.wanted, found.factors) == ([], [], [])
    assert found.answer.startswith("A and B differ in no parameter, or in the seed alone")


def test_other_rows_are_left_out_and_told() -> None:
    found = told({"x/a": A, "y/b": between(["lr"])}, {"x/a": numbers(0.5), "y/b": numbers(0.7)[:200]})
    assert found.rows == 200
    assert "200 rows of all runs are compared; a run has up to 100 more, which are left out" in found.remarks
    paired = stats.ttest_rel(numbers(0.7)[:200], numbers(0.5)[:200]).confidence_interval(0.95)
    assert (found.steps[0].low, found.steps[0].high) == pytest.approx((paired.low, paired.high))


def test_scores_that_are_missing_widen_it_to_what_they_may_be() -> None:
    scores: dict[str, list[float | None]] = {"x/a": [*answers(0.5)], "y/b": [*answers(0.7)]}
    whole = told({"x/a": A, "y/b": between(["lr"])}, scores, metric="accuracy").steps[0]
    for at in range(30):
        scores["y/b"][at] = None
    found = told({"x/a": A, "y/b": between(["lr"])}, scores, metric="accuracy")
    step = found.steps[0]
    assert step.low is not None and step.high is not None and whole.low is not None and whole.high is not None  # noqa: PT018
    assert step.high - step.low > whole.high - whole.low + 0.05
    assert "scores that are missing are taken at worst and at best" in found.remarks


def test_what_is_no_mean_of_rows_has_no_interval() -> None:
    found = told({"x/a": A, "y/b": between(["lr"])}, {"x/a": numbers(0.5), "y/b": numbers(0.7)}, metric="mean")
    assert found.steps[0].told == "higher"
    from tests.analysis.bisecting import planted

    made = [planted.placed("x/a", A, 1), planted.placed("y/b", between(["lr"]), 1)]
    cube = planted.cube_of(made[0], made[1], made, A.__contains__)
    scored = planted.at_corners(cube, {"x/a": numbers(0.5), "y/b": numbers(0.7)}, metric="auc")
    lone = {corner: [run._replace(metric=run.metric.model_copy(update={"value": 0.1})) for run in runs] for corner, runs in scored.items()}
    told_of = planted.attribute(cube, lone, "auc")
    assert (told_of.steps[0].told, told_of.steps[0].low) == ("unknown", None)
    assert "makes a difference of 0" in told_of.answer
