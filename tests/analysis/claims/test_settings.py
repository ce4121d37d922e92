"""Claims about settings, judged from runs whose scores are known row by row."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from ckgit.analysis.assemble import variants_of
from ckgit.analysis.claims.judge import ClaimEvidence, judge
from ckgit.analysis.score_text import difference, stated
from ckgit.analysis.sections.claims import claims_section
from ckgit.experiment.checks.claims import claim_problems
from ckgit.experiment.claims.verdicts import Judgement, Quantity, Verdict
from ckgit.experiment.design.claim import Claim
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.design.model import DataSet, RunType
from ckgit.experiment.measured.compared import ScoredSplit
from ckgit.experiment.results import CellResult, Metric, RunRow, Sample
from ckgit.experiment.tools.by_tool import read_summary
from tests.analysis.build import DESIGN, cell

Rows = Sequence[float | None]
SETTINGS = {"metric": "accuracy", "task": "capitalization", "left": {"lora_rank": 8}, "right": {"lora_rank": 4}, "direction": "greater"}


def evidence(
    variables: Mapping[str, Sequence[Any]], answers: Mapping[str, Rows], *, metric: str = "accuracy", **changes: Any
) -> ClaimEvidence:
    """Runs of these variables and a control, each with the scores of its rows."""
    experiment = {**DESIGN["experiment"], "claims": []}
    summary = read_summary({**DESIGN, "experiment": experiment, "variables": {k: list(v) for k, v in variables.items()}, **changes})
    plan = build_plan(summary)
    assert set(answers) <= {run.name for run in plan.runs}, [run.name for run in plan.runs]
    rows = [
        RunRow(name=run.name, type=run.type, cells=(scored(run.name, answers[run.name], metric, trained=run.trains),))
        if run.name in answers
        else RunRow(name=run.name, type=run.type, missing=("it failed",))
        for run in plan.runs
    ]
    return ClaimEvidence(rows, plan.runs, summary.parameters, {}, {}, {})


def scored(run: str, rows: Rows, metric: str, *, trained: bool) -> CellResult:
    known = [row for row in rows if row is not None]
    value = sum(known) / len(known) if metric == "accuracy" else 3 * sum(known) ** 2 / len(known) ** 2 / 4
    number = Metric(scorer="match", name=metric, value=value, samples=len(known), asked=len(rows))
    samples = tuple(Sample(id=place, scores={"match": score}, target="A") for place, score in enumerate(rows))
    return cell(run, 0, metrics=(number,), samples=samples, epoch=1 if trained else None)


def verdict(found: ClaimEvidence, **changes: Any) -> Verdict:
    return judge(Claim.model_validate_json(json.dumps(SETTINGS | changes)), found)


def drawn(shares: Mapping[str, float], rows: int, seed: int = 0) -> dict[str, Rows]:
    random = np.random.default_rng(seed)
    return {name: (random.random(rows) < share).astype(float).tolist() for name, share in shares.items()}


SEEDS = {"lora_rank": [4, 8], "seed": [1, 2, 3]}
NAMES = [f"rank{rank}_seed{seed}" for rank in (4, 8) for seed in (1, 2, 3)]
TWO = drawn({name: 0.4 if "rank4" in name else 0.7 for name in NAMES}, 200)


def margin(left: np.ndarray, right: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Three seeds a side, by numpy and scipy: rows by the paired differences, seeds pooled, the residual mean square taken off once."""
    differences = left.mean(0) - right.mean(0)
    rows = differences.size
    pooled = (left.mean(1).var(ddof=1) + right.mean(1).var(ddof=1)) / 2
    residuals = 0.0
    for side in (left, right):
        residual = side - side.mean(1, keepdims=True) - side.mean(0, keepdims=True) + side.mean()
        residuals += (residual**2).sum() / ((side.shape[0] - 1) * (rows - 1)) / (rows * side.shape[0])
    upper = (1 + level) / 2
    of_rows = stats.t.ppf(upper, rows - 1) ** 2 * max(differences.var(ddof=1) / rows - residuals, 0)
    of_seeds = stats.t.ppf(upper, 4) ** 2 * pooled * 2 / 3
    half = math.sqrt(of_rows + of_seeds)
    return differences.mean() - half, differences.mean() + half


def side(rank: int, answers: Mapping[str, Rows] = TWO) -> np.ndarray:
    return np.array([answers[f"rank{rank}_seed{seed}"] for seed in (1, 2, 3)])


def test_a_claim_about_settings_has_rows_and_seeds_in_its_interval() -> None:
    found = verdict(evidence(SEEDS, TWO), by=0.1)
    assert found.judgement is Judgement.SUPPORTED
    assert found.quantity is Quantity.SETTINGS
    assert found.about == "any seed, on rows like these"
    assert (found.low, found.high) == pytest.approx(margin(side(8), side(4)))
    assert found.difference == pytest.approx(side(8).mean() - side(4).mean())
    assert "3+3 seeds" in found.reason
    [left, right] = found.settings
    assert left.scores == pytest.approx(side(8).mean(1))
    assert left.sd == pytest.approx(side(8).mean(1).std(ddof=1))
    assert (left.side, right.side) == ("left", "right")


def test_less_is_greater_the_other_way_round() -> None:
    found = verdict(evidence(SEEDS, TWO), direction="less", left={"lora_rank": 4}, right={"lora_rank": 8}, by=0.1)
    assert found.judgement is Judgement.SUPPORTED
    assert verdict(evidence(SEEDS, TWO), direction="less").judgement is Judgement.NOT_SUPPORTED


def test_the_same_is_claimed_by_an_interval_of_90_percent() -> None:
    alike = drawn(dict.fromkeys(NAMES, 0.6), 2000)
    found = verdict(evidence(SEEDS, alike), direction="same", by=0.1)
    assert found.judgement is Judgement.SUPPORTED
    assert found.level == 0.9
    assert (found.low, found.high) == pytest.approx(margin(side(8, alike), side(4, alike), level=0.9))
    assert verdict(evidence(SEEDS, alike), direction="same", by=0.001).judgement is Judgement.UNDECIDED
    assert verdict(evidence(SEEDS, TWO), direction="same", by=0.05).judgement is Judgement.NOT_SUPPORTED


def test_one_seed_says_nothing_of_the_settings() -> None:
    found = verdict(evidence({"lora_rank": [4, 8]}, drawn({"rank4": 0.2, "rank8": 0.9}, 200)))
    assert found.quantity is Quantity.MODELS
    assert found.about.startswith("these two models")
    assert found.interval == "Bonett-Price"
    assert "one seed" in found.reason
    assert found.claim.left == {"lora_rank": 8}
    assert [(each.side, each.runs) for each in found.settings] == [("left", ("rank8",)), ("right", ("rank4",))]


def test_a_side_with_one_seed_borrows_the_spread_of_others() -> None:
    variables = {"lora_rank": [4, 8], "seed": [1, 2, 3]}
    some = {name: rows for name, rows in TWO.items() if name not in ("rank8_seed2", "rank8_seed3")}
    found = verdict(evidence(variables, some))
    assert found.quantity is Quantity.SETTINGS
    assert any("borrowed" in note for note in found.notes)
    assert any("different numbers of seeds" in note for note in found.notes)
    assert any("rank8_seed2" in note for note in found.notes)
    assert "1+3 seeds" in found.reason


def test_a_control_has_no_seeds() -> None:
    answers = {**TWO, **drawn({"base": 0.3}, 200, seed=5)}
    found = verdict(evidence(SEEDS, answers), right="base")
    assert found.judgement is Judgement.SUPPORTED
    # two degrees of freedom of its own are too few: the spread of both ranks stands in for it where that is larger
    spreads = [side(rank).mean(1).var(ddof=1) for rank in (4, 8)]
    differences = side(8).mean(0) - np.array(answers["base"])
    residual = side(8) - side(8).mean(1, keepdims=True) - side(8).mean(0, keepdims=True) + side(8).mean()
    noise = (residual**2).sum() / (2 * 199) / (200 * 3)
    seeds = max(np.mean(spreads), spreads[1]) / 3
    half = math.sqrt(stats.t.ppf(0.975, 199) ** 2 * (differences.var(ddof=1) / 200 - noise) + stats.t.ppf(0.975, 4) ** 2 * seeds)
    assert (found.low, found.high) == pytest.approx((differences.mean() - half, differences.mean() + half))
    assert "3 seeds" in found.reason


def test_a_trend_is_a_slope_over_the_settings() -> None:
    variables = {"lora_rank": [4, 8, 16], "seed": [1, 2]}
    shares = {f"rank{rank}_seed{seed}": 0.2 + 0.04 * rank for rank in (4, 8, 16) for seed in (1, 2)}
    answers = drawn(shares, 300)
    found = verdict(evidence(variables, answers), direction="increases", along="lora_rank", left=None, right=None)
    assert found.judgement is Judgement.SUPPORTED
    runs = [(rank, np.mean([np.mean(answers[f"rank{rank}_seed{seed}"]) for seed in (1, 2)])) for rank in (4, 8, 16)]
    assert found.difference == pytest.approx(stats.linregress(*zip(*runs, strict=True)).slope)
    assert [each.along for each in found.settings] == [4.0, 8.0, 16.0]
    assert verdict(evidence(variables, answers), direction="decreases", along="lora_rank", left=None, right=None).judgement is (
        Judgement.NOT_SUPPORTED
    )


def test_the_best_of_several_is_corrected_for_how_many_there_were() -> None:
    variables = {"lora_rank": [4, 8, 16], "seed": [1, 2, 3]}
    shares = {f"rank{rank}_seed{seed}": share for rank, share in ((4, 0.5), (8, 0.8), (16, 0.6)) for seed in (1, 2, 3)}
    answers = {**drawn(shares, 200), **drawn({"base": 0.3}, 200, seed=9)}
    tried = evidence(variables, answers)
    found = verdict(tried, left={"type": "fine-tuned"}, right="base", best=True)
    assert (found.judgement, found.best, found.compared) == (Judgement.SUPPORTED, "lora_rank 8", 3)
    assert found.difference == pytest.approx(found.left - found.right)  # of the best alone
    assert found.low < found.difference < found.high
    assert found.level == pytest.approx(1 - 0.05 / 3)
    alone = verdict(tried, left={"lora_rank": 8}, right="base")
    assert found.low is not None
    assert alone.low is not None
    assert found.low < alone.low
    counted = dataclasses.replace(tried, scored={"capitalization": 40})
    many = verdict(counted, left={"type": "fine-tuned"}, right="base", best=True)
    assert many.compared == 40
    assert many.low is not None
    assert many.low < found.low


def test_missing_scores_are_taken_at_worst_and_at_best() -> None:
    answers = {name: [None, None, *rows[2:]] if name == "rank8_seed1" else rows for name, rows in TWO.items()}
    found = verdict(evidence(SEEDS, answers))
    low = margin(side(8, {**TWO, "rank8_seed1": [0.0, 0.0, *TWO["rank8_seed1"][2:]]}), side(4))[0]
    high = margin(side(8, {**TWO, "rank8_seed1": [1.0, 1.0, *TWO["rank8_seed1"][2:]]}), side(4))[1]
    assert (found.low, found.high) == pytest.approx((low, high))
    assert "198 of 200 scored" in found.reason


def test_what_is_no_mean_of_rows_is_judged_over_seeds_alone() -> None:
    found = verdict(evidence(SEEDS, TWO, metric="f1"), metric="f1")
    scores = [[3 * np.mean(TWO[f"rank{rank}_seed{seed}"]) ** 2 / 4 for seed in (1, 2, 3)] for rank in (8, 4)]
    expected = stats.ttest_ind(*scores).confidence_interval()
    assert found.quantity is Quantity.ROWS
    assert found.about == "any seed, on exactly these rows"
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_nothing_is_printed_without_width() -> None:
    right = {name: [1.0] * 30 for name in NAMES}
    found = verdict(evidence(SEEDS, right))
    assert found.difference == 0
    assert found.judgement is Judgement.UNDECIDED
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low > 0.1
    assert not any("agree exactly" in note for note in found.notes)  # at the ceiling seeds have no choice


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"left": {"lora_rank": 64}}, "no run has lora_rank 64"),
        ({"metric": "rouge"}, "has no metric rouge"),
        ({"task": "other"}, "there is no result of"),
    ],
)
def test_what_was_never_measured_cannot_be_judged(changes: Mapping[str, Any], reason: str) -> None:
    found = verdict(evidence(SEEDS, TWO), **changes)
    assert found.judgement is Judgement.IMPOSSIBLE
    assert reason in found.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"direction": "same"},
        {"direction": "increases"},
        {"direction": "increases", "along": "lora_rank"},
        {"along": "lora_rank"},
        {"right": None},
        {"best": True, "direction": "same", "by": 0.1},
        {"best": True, "left": "rank8"},
        {"left": {}},
    ],
)
def test_claims_that_do_not_hang_together_are_refused(changes: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"same|along|sides|best|left"):
        Claim.model_validate_json(json.dumps(SETTINGS | changes))


def test_runs_that_are_compared_by_name_stay_two_models() -> None:
    found = verdict(evidence(SEEDS, TWO), left="rank8_seed1", right="rank4_seed1")
    assert found.quantity is Quantity.MODELS
    assert found.interval == "Bonett-Price"
    assert RunType.FINE_TUNED in {row.type for row in evidence(SEEDS, TWO).rows}


def test_rows_that_belong_together_widen_the_interval_of_two_models() -> None:
    answers = {"rank4": [0.0, 1.0] * 30, "rank8": [1.0] * 20 + [0.0, 1.0] * 20}
    tried = evidence({"lora_rank": [4, 8]}, answers)
    people = tuple(f"person {place // 10}" for place in range(60))
    grouped = [row.model_copy(update={"cells": tuple(_of_people(each, people) for each in row.cells)}) for row in tried.rows]
    clustered = dataclasses.replace(tried, rows=grouped, clusters={"capitalization": "person"})
    found = verdict(clustered, left="rank8", right="rank4")
    differences = np.array(answers["rank8"]) - np.array(answers["rank4"])
    fitted = sm.OLS(differences, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": np.repeat(np.arange(6), 10)}, use_t=True)
    assert found.quantity is Quantity.MODELS
    assert (found.low, found.high) == pytest.approx(tuple(fitted.conf_int()[0]))
    assert any("6 groups" in note for note in found.notes)
    assert found.about.startswith("these 2 models; another seed may differ")


def _of_people(found: CellResult, people: Sequence[str]) -> CellResult:
    samples = (sample.model_copy(update={"metadata": {"person": who}}) for sample, who in zip(found.samples, people, strict=True))
    return found.model_copy(update={"samples": tuple(samples)})


def test_an_undecided_claim_says_what_it_would_have_taken() -> None:
    alike = drawn(dict.fromkeys(NAMES, 0.6), 300)
    found = verdict(evidence(SEEDS, alike), by=0.02)
    assert found.judgement is Judgement.UNDECIDED
    told = re.search(r"80 % power takes a true (0\.\d+), with 5 seeds (0\.\d+)$", found.reason)
    assert told, found.reason
    needed, with_five = map(float, told.groups())
    assert found.difference is not None
    assert found.high is not None
    assert needed > found.high - found.difference  # more than half the width, and the claimed 0.02
    assert with_five < needed
    assert "80 %" not in verdict(evidence(SEEDS, TWO), by=0.02).reason


@pytest.mark.parametrize("sides", [{}, {"left": "rank8_seed1", "right": "rank4_seed1"}])
def test_wherever_a_difference_is_told_another_coverage_than_95_percent_stands_beside_it(sides: Mapping[str, Any]) -> None:
    told = difference(verdict(evidence(SEEDS, TWO), direction="same", by=0.05, **sides))
    assert told.endswith("] (90 %)")
    assert "%" not in difference(verdict(evidence(SEEDS, TWO), **sides))


def test_verdicts_about_settings_are_not_said_to_leave_seeds_out() -> None:
    text = claims_section([verdict(evidence(SEEDS, TWO)), verdict(evidence(SEEDS, TWO), metric="rouge")])
    assert "seeds is not included" not in text


def test_of_several_claims_it_is_said_that_nothing_corrects_for_them() -> None:
    one = verdict(evidence(SEEDS, TWO))
    assert "Each of the 3 intervals is its claim's own" in claims_section([one] * 3)
    assert "is its claim's own" not in claims_section([one])


def test_rows_of_no_group_stand_alone() -> None:
    answers = {"rank4": [0.0, 1.0] * 30, "rank8": [1.0] * 20 + [0.0, 1.0] * 20}
    tried = evidence({"lora_rank": [4, 8]}, answers)
    clustered = dataclasses.replace(tried, clusters={"capitalization": "person"})
    found = verdict(clustered, left="rank8", right="rank4")
    expected = stats.ttest_rel(answers["rank8"], answers["rank4"]).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_rows_that_all_belong_together_say_nothing_of_others() -> None:
    answers = {"rank4": [0.0, 1.0] * 30, "rank8": [1.0] * 20 + [0.0, 1.0] * 20}
    tried = evidence({"lora_rank": [4, 8]}, answers)
    grouped = [row.model_copy(update={"cells": tuple(_of_people(each, ("one",) * 60) for each in row.cells)}) for row in tried.rows]
    found = verdict(dataclasses.replace(tried, rows=grouped, clusters={"capitalization": "person"}), left="rank8", right="rank4")
    assert found.judgement is Judgement.UNDECIDED
    assert found.reason.startswith("all rows belong together")


@pytest.mark.parametrize("metric", ["accuracy", "f1"])
def test_rows_of_other_data_are_not_paired_though_their_ids_and_targets_are_the_same(metric: str) -> None:
    tried = evidence(SEEDS, TWO, metric=metric)
    words, other = DataSet(path="words.json"), DataSet(path="other.json")
    data = {name: words if "rank8" in name else other for name in TWO}
    found = verdict(dataclasses.replace(tried, data={"capitalization": data}), metric=metric)
    assert (found.judgement, found.low, found.paired) == (Judgement.UNDECIDED, None, False)
    assert "different rows" in found.reason


RANKS = {"lora_rank": [4, 8, 16], "seed": [1, 2, 3]}
BEST: dict[str, Any] = {"left": {"type": "fine-tuned"}, "right": "base", "best": True}


def of_ranks(rank8: Sequence[float], rank16: Sequence[float]) -> dict[str, Rows]:
    """Ranks 8 and 16 by the shares that their seeds have right, beside rank 4 with 0.4 and a control with 0.3."""
    shares = {f"rank{rank}_seed{seed}": of[seed - 1] for rank, of in ((4, [0.4] * 3), (8, rank8), (16, rank16)) for seed in (1, 2, 3)}
    return {**drawn(shares, 300), **drawn({"base": 0.3}, 300, seed=9)}


def test_the_difference_of_the_best_is_its_own() -> None:
    answers = of_ranks([0.7] * 3, [0.6] * 3)
    found = verdict(evidence(RANKS, answers), **BEST)
    mine, base = np.mean([np.mean(answers[f"rank8_seed{seed}"]) for seed in (1, 2, 3)]), np.mean(answers["base"])
    assert found.difference == pytest.approx(mine - base)
    assert (found.left, found.right) == pytest.approx((mine, base))
    assert found.low is not None
    assert found.difference is not None
    assert found.low < found.difference


def test_what_supports_a_claim_about_the_best_is_what_stands_beside_it() -> None:
    variables = {"lora_rank": [8, 16], "seed": [1, 2, 3, 4, 5]}
    shares = {f"rank8_seed{seed}": 0.7 for seed in range(1, 6)}
    shares |= {f"rank16_seed{seed}": share for seed, share in enumerate((0.05, 0.98, 0.98, 0.98, 0.98), start=1)}
    found = verdict(evidence(variables, {**drawn(shares, 300), **drawn({"base": 0.3}, 300, seed=9)}), **BEST)
    low = {each.setting: each.low for each in found.settings}
    assert low["lora_rank 16"] < 0 < low["lora_rank 8"]  # type: ignore[operator] # neither is None
    assert (found.judgement, found.best) == (Judgement.SUPPORTED, "lora_rank 8")
    assert found.low == low["lora_rank 8"]


def test_the_best_falls_short_only_where_none_may_be_greater() -> None:
    variables = {"lora_rank": [8, 16], "seed": [1, 2, 3, 4, 5]}
    shares = {f"rank8_seed{seed}": 0.6 for seed in range(1, 6)}
    shares |= {f"rank16_seed{seed}": share for seed, share in enumerate((0.05, 0.6, 0.6, 0.6, 0.6), start=1)}
    answers = {**drawn(shares, 300), **drawn({"base": 0.3}, 300, seed=9)}
    found = verdict(evidence(variables, answers), **BEST, by=0.45)
    assert (found.judgement, found.best) == (Judgement.UNDECIDED, "lora_rank 8")
    assert found.reason.startswith("lora_rank 16 may be greater still; the whole interval falls short of 0.45")


def test_no_two_shares_differ_by_more_than_1() -> None:
    found = verdict(evidence(SEEDS, {name: [1.0 if "8" in name else 0.0] * 3 for name in NAMES}))
    assert (found.difference, found.high) == (1.0, 1.0)


def test_the_best_is_corrected_for_what_was_scored_on_all_of_its_rows() -> None:
    one = ScoredSplit(task="a", data="1", split="test", variants=7, controls=0, experiments={})
    splits = [one, one.model_copy(update={"data": "2", "variants": 5}), one.model_copy(update={"task": "b"})]
    splits.append(one.model_copy(update={"data": "3", "again": True}))  # the same rows under another name
    assert variants_of(splits) == {"a": 12, "b": 7}


def test_a_trend_is_over_the_settings_whose_value_is_a_number() -> None:
    answers = drawn({"rows10": 0.2, "rows20": 0.4, "rows40": 0.8, "rowsNone": 0.1}, 300)
    trend = {"left": None, "right": None, "direction": "increases", "along": "max_samples"}
    found = verdict(evidence({"max_samples": [10, 20, 40, None]}, answers), **trend)
    slope = stats.linregress((10, 20, 40), [np.mean(answers[f"rows{rows}"]) for rows in (10, 20, 40)]).slope
    assert found.difference == pytest.approx(slope)
    assert "max_samples of max_samples None is no number, so it is not in the slope" in found.notes
    two = verdict(evidence({"max_samples": [10, 20, None]}, {name: answers[name] for name in ("rows10", "rows20", "rowsNone")}), **trend)
    assert (two.judgement, two.difference) == (Judgement.UNDECIDED, None)
    assert "fewer than 3 values" in two.reason


def test_a_training_that_is_run_again_with_its_seed_is_no_second_seed() -> None:
    runs = [{"name": name, "parameters": {"lora_rank": rank, "seed": 1}} for name, rank in (("a1", 8), ("a2", 8), ("b1", 4), ("b2", 4))]
    found = verdict(evidence({}, drawn({"a1": 0.7, "a2": 0.7, "b1": 0.4, "b2": 0.4}, 200), runs=runs))
    assert found.quantity is Quantity.MODELS
    assert "1+1 seeds" in found.reason
    assert any(note.startswith("a2: left out") for note in found.notes)


def test_claims_that_differ_in_their_scorer_do_not_read_the_same() -> None:
    assert stated(verdict(evidence(SEEDS, TWO), scorer="match").claim).startswith("accuracy (match) on capitalization")


@pytest.mark.parametrize(("changes", "problems"), [({}, 1), ({"left": {"lora_rank": [2, 4, 8]}}, 0)])
def test_a_claim_about_settings_that_are_never_evaluated_is_refused_beforehand(changes: Mapping[str, Any], problems: int) -> None:
    trend = {"metric": "accuracy", "task": "capitalization", "direction": "increases", "along": "lora_rank"}
    matrix = {"tasks": [{"name": "capitalization"}], "matrix": [{"runs": ["rank2", "rank4", "rank8"], "epochs": "last"}]}
    about = {**DESIGN["experiment"], "claims": [trend | changes]}
    summary = read_summary({**DESIGN, "experiment": about, "variables": {"lora_rank": [2, 4, 8, 16]}, "evaluation": matrix})
    found = [problem.message for problem in claim_problems(summary, build_plan(summary))]
    assert len(found) == problems
    assert all("of which no run is evaluated on capitalization" in each for each in found)


def test_what_it_would_have_taken_is_not_said_of_rows_that_belong_together() -> None:
    tried = evidence(SEEDS, drawn(dict.fromkeys(NAMES, 0.6), 60))
    people = tuple(f"person {place // 10}" for place in range(60))
    grouped = [row.model_copy(update={"cells": tuple(_of_people(each, people) for each in row.cells)}) for row in tried.rows]
    assert "80 %" in verdict(tried, by=0.02).reason
    assert "80 %" not in verdict(dataclasses.replace(tried, rows=grouped, clusters={"capitalization": "person"}), by=0.02).reason


def test_seeds_that_agree_to_the_last_digit_are_told_of() -> None:
    alike = {name: [1.0, 0.0] * 30 if "rank8" in name else rows[:60] for name, rows in TWO.items()}
    assert "seeds of lora_rank 8 agree exactly: the seed may not reach the training" in verdict(evidence(SEEDS, alike)).notes
