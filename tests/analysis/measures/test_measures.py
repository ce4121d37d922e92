"""Measures where there is little to measure, what decides whether there is an interval, and how often intervals hold."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from sklearn import metrics as sk

from bench.coverage import SIZES, covered, kinds
from ckgit.analysis.measures.answered import as_classes, as_numbers, number_in
from ckgit.analysis.measures.made import ALIKE
from ckgit.analysis.measures.measure import DEPENDENT, measured
from ckgit.analysis.statistics.linearised import of_clustered_mean, of_clustered_means, of_mean
from ckgit.experiment.measured.measures import CellMeasures, Measure
from ckgit.experiment.results import CellResult, Metric, Sample
from tests.analysis.build import cell


def of(targets: Sequence[str], answers: Sequence[str], scores: Sequence[float] | None = None, **more: Sequence[dict]) -> CellResult:
    graded = scores or [float(target == answer) for target, answer in zip(targets, answers, strict=True)]
    samples = [
        Sample(id=n, target=t, answer=a, scores={"match": s}, **{name: each[n] for name, each in more.items()})
        for n, (t, a, s) in enumerate(zip(targets, answers, graded, strict=True))
    ]
    share = sum(graded) / len(graded)
    metric = Metric(scorer="match", name="accuracy", value=share, samples=len(samples))
    return cell("rank8", 0, samples=tuple(samples), metrics=(metric,))


def measures(found: CellMeasures | None) -> dict[str, Measure]:
    assert found
    return {f"{each.name} {each.label}" if each.label else each.name: each for each in found.measures}


# the least and the most that each may cover with 300 experiments: 95 plus or minus three Monte Carlo errors of 1.26
_FAST = {kind.name: kind for kind in kinds()}


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("2 classes, 0.8", 100),
        ("2 of 90:10, 0.95 and 0.5", 300),
        ("5 classes, 0.9", 300),
        ("normal errors", 100),
        ("even labels, sure", 100),
        ("one label of ten, sure", 300),
        ("20 persons", 300),
        ("20 persons, both classes", 300),
        ("20 persons, numbers", 300),
        ("20 persons, probabilities", 300),
    ],
)
def test_intervals_hold_as_often_as_they_say(kind: str, rows: int) -> None:
    """A small part of `python -m bench.coverage`, whose whole table docs/reading-a-report.md has."""
    assert rows in SIZES
    found = [each for each in covered(_FAST[kind], rows, 300) if each.given > 20]
    assert found
    for each in found:
        assert 91.2 <= each.covers <= 98.8, each


def test_one_class_leaves_what_compares_classes_undefined() -> None:
    sure = [{"yes": 0.9, "no": 0.1}] * 30
    found = measures(measured(of(["yes"] * 30, ["yes"] * 30, probabilities=sure)))
    assert [found[name].value for name in ("AUC", "balanced accuracy", "macro F1")] == [None] * 3
    assert "one target" in found["AUC"].note
    assert found["Brier score"].value == pytest.approx(0.01)


def test_no_answer_of_a_class_has_no_precision() -> None:
    found = measures(measured(of(["a"] * 20 + ["b"] * 20, ["a"] * 40)))
    assert found["precision b"].value is None
    assert found["recall b"].value == 0
    assert found["macro F1"].value == pytest.approx(sk.f1_score(["a"] * 20 + ["b"] * 20, ["a"] * 40, average="macro", zero_division=0))


def test_few_rows_of_a_class_have_no_interval() -> None:
    found = measures(measured(of(["a"] * 91 + ["b"] * 9, ["a"] * 91 + ["b"] * 9)))
    assert found["balanced accuracy"].low is None
    assert "fewer than 10" in found["balanced accuracy"].note
    assert found["recall b"].low is None
    assert found["recall a"].low == pytest.approx(stats.binomtest(91, 91).proportion_ci(method="wilson").low)


def test_all_right_is_no_certainty() -> None:
    found = measured(of(["a", "b"] * 40, ["a", "b"] * 40))
    balanced = measures(found)["balanced accuracy"]
    assert balanced.value == balanced.high == 1
    assert balanced.low is not None
    assert 0.9 < balanced.low < 0.99
    assert found
    assert any("ceiling" in text for text in found.remarks)


def test_no_better_than_the_commonest_label_is_said() -> None:
    targets = ["a"] * 30 + ["b"] * 10
    found = measured(of(targets, ["a"] * 40))
    assert found
    assert any("always answering a (0.750)" in text for text in found.remarks)


def test_texts_are_no_classes() -> None:
    words = [f"word{n}" for n in range(40)]
    assert as_classes(of(words, words)) is None
    assert measured(of(words, words[1:] + words[:1], [0.5] * 40)) is None


def test_a_scorer_that_asks_for_something_else_than_the_label_tells_of_no_classes() -> None:
    assert as_classes(of(["a", "b"] * 20, ["a", "b"] * 20, [0.0, 1.0] * 20)) is None


def test_answers_without_a_label_are_wrong_and_of_no_class() -> None:
    targets, answers = ["a", "b"] * 20, ["A ", "dunno"] * 20
    found = measured(of(targets, answers, [1.0, 0.0] * 20))
    assert found
    assert found.confusion
    assert found.confusion.counts == ((20, 0, 0), (0, 0, 20))
    assert measures(found)["balanced accuracy"].value == 0.5


def test_rows_that_belong_together_widen_intervals_and_answers_to_one_row_count_as_one() -> None:
    chance = random.Random(3)  # noqa: S311 - test data
    targets = ["a", "b"] * 100
    own = [chance.random() < 0.7 for _ in range(40)]
    answers = [target if own[n // 5] == (n % 7 > 0) else "ba"["ab".index(target)] for n, target in enumerate(targets)]
    one = of(targets, answers, metadata=[{"person": f"p{n // 5}"} for n in range(200)])
    alone, together = measures(measured(one)), measured(one, clusters="person")
    assert together
    assert DEPENDENT in together.remarks
    for name, found in measures(together).items():
        assert found.value == alone[name].value
        assert found.low is not None, found
        assert found.high is not None
        assert alone[name].low is not None
        assert found.low < alone[name].low < alone[name].high < found.high, name
    twice = one.model_copy(update={"samples": (*one.samples, *(each.model_copy(update={"epoch": 2}) for each in one.samples))})
    repeated = measured(twice)
    assert repeated
    assert DEPENDENT in repeated.remarks
    # each answer was given twice, so the rows say as much as they did
    recall = measures(repeated)["recall a"]
    assert (recall.low, recall.high) == pytest.approx((alone["recall a"].low, alone["recall a"].high), abs=0.01)


def test_one_group_alone_has_no_interval_and_says_why() -> None:
    found = measured(of(["a", "b"] * 40, ["a", "b", "b", "b"] * 20, metadata=[{"person": "p"}] * 80), clusters="person")
    assert found
    assert {(each.low, each.note) for each in found.measures} == {(None, ALIKE)}


def test_a_mean_distance_needs_twenty_groups() -> None:
    chance = random.Random(5)  # noqa: S311 - test data
    targets = [str(n) for n in range(200)]
    answers = [str(n + chance.randrange(1, 9)) for n in range(200)]
    few, many = (
        measures(measured(of(targets, answers, [0.5] * 200, metadata=[{"person": n % count} for n in range(200)]), clusters="person"))
        for count in (19, 20)
    )
    assert (few["MAE"].low, few["MAE"].note.partition(":")[0]) == (None, "rows belong to fewer than 20 groups")
    assert many["MAE"].interval == "CR2 on the scale of 1/MAE"


def test_numbers_without_any_parsed_answer() -> None:
    found = measures(measured(of([str(n) for n in range(40)], ["no idea"] * 40)))
    assert found["parse rate"].value == 0
    assert [found[name].value for name in ("MAE", "RMSE", "R²")] == [None] * 3


def test_equal_targets_have_no_r_squared() -> None:
    one = of(["5"] * 30, ["4"] * 30, [0.5] * 30)
    assert measures(measured(one))["R²"].note == "undefined: all targets are the same"


@pytest.mark.parametrize(
    ("text", "value"), [("-1,250.5 euros", -1250.5), ("about 3e2", 300.0), ("none", None), ("1e999", None), (".5", 0.5), ("x" * 9000, None)]
)
def test_the_first_number_of_a_text(text: str, value: float | None) -> None:
    assert number_in(text) == value


def test_few_numbers_with_right_and_wrong_are_classes() -> None:
    assert as_numbers(of(["0", "1"] * 20, ["0", "1"] * 20)) is None
    assert as_classes(of(["0", "1"] * 20, ["0", "1"] * 20))


def test_the_interval_of_a_mean_distance_is_students_on_the_scale_of_its_inverse() -> None:
    chance = np.random.default_rng(3)
    errors = np.abs(chance.laplace(size=150))
    found = measures(measured(of(["0"] * 150, [f"{each:.12f}" for each in errors], [0.5] * 150)))["MAE"]
    half = stats.t.ppf(0.975, 149) * stats.sem(errors) / errors.mean() ** 2
    assert (found.low, found.high) == pytest.approx((1 / (1 / errors.mean() + half), 1 / (1 / errors.mean() - half)))


def test_the_error_of_an_auc_is_delongs() -> None:
    """Against the comparisons of every pair, as DeLong et al. write them."""
    chance = np.random.default_rng(4)
    yes, no = np.round(chance.normal(1, 1, 25), 1), np.round(chance.normal(0, 1, 40), 1)
    won = (yes[:, None] > no).astype(float) + (yes[:, None] == no) / 2
    one, other = won.mean(1), won.mean(0)
    variance = one.var(ddof=1) / 25, other.var(ddof=1) / 40
    df = sum(variance) ** 2 / (variance[0] ** 2 / 24 + variance[1] ** 2 / 39)
    middle = (1 - won.mean()) ** -0.5
    half = stats.t.ppf(0.975, df) * math.sqrt(sum(variance)) * middle**3 / 2
    share = [1 / (1 + math.exp(-each)) for each in (*yes, *no)]
    sure = [{"yes": each, "no": 1 - each} for each in share]
    targets = ["yes"] * 25 + ["no"] * 40
    found = measures(measured(of(targets, targets, probabilities=sure)))["AUC"]
    assert found.value == pytest.approx(won.mean())
    assert (found.low, found.high) == pytest.approx((1 - (middle - half) ** -2, 1 - (middle + half) ** -2))


def test_clustered_errors_are_those_of_statsmodels_where_clusters_are_equally_large() -> None:
    chance = random.Random(2)  # noqa: S311 - test data
    values, clusters = [chance.random() for _ in range(60)], [n // 6 for n in range(60)]
    fitted = sm.OLS(values, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": clusters, "df_correction": True}, use_t=True)
    error = of_clustered_mean(values, clusters)
    assert error
    # statsmodels has c/(c-1)·(n-1)/(n-1) for one column; CR2 has 1/(1-1/c): the same
    assert error.stderr == pytest.approx(fitted.bse[0], rel=1e-9)
    assert error.quantile == pytest.approx(stats.t.ppf(0.975, 9))
    alone, plain = of_clustered_mean(values, list(range(60))), of_mean(values)
    assert alone
    assert plain
    assert alone == pytest.approx(plain)


def test_the_error_of_a_gap_is_that_of_a_regression_with_cr2() -> None:
    """Bell and McCaffrey's by their matrices: residuals of each cluster times (I-H)^-1/2, and the moments of that under independence."""
    chance = np.random.default_rng(4)
    values, group, cluster = chance.normal(size=70), chance.integers(2, size=70), chance.integers(9, size=70)
    design = np.stack([group == 0, group == 1], 1).astype(float)
    inverse = np.linalg.inv(design.T @ design)
    left = np.eye(70) - design @ inverse @ design.T
    pulls = []
    for each in range(9):
        own = cluster == each
        size, vectors = np.linalg.eigh(left[np.ix_(own, own)])
        adjusted = vectors @ np.diag(size**-0.5) @ vectors.T
        pull = np.zeros(70)
        pull[own] = adjusted @ design[own] @ inverse @ [-1, 1]
        pulls.append(left @ pull)
    moments = np.array(pulls) @ np.array(pulls).T
    error = of_clustered_means(values.tolist(), group.tolist(), {0: -1.0, 1: 1.0}, cluster.tolist())
    assert error
    assert error.stderr**2 == pytest.approx(sum((pull @ values) ** 2 for pull in pulls))
    assert error.quantile == pytest.approx(stats.t.ppf(0.975, np.trace(moments) ** 2 / np.trace(moments @ moments)))
