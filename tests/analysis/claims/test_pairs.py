import json
from typing import Any

import pytest

from ckgit.analysis.claims.pairs import judge
from ckgit.analysis.claims.scope import Scope
from ckgit.experiment.claims.verdicts import Judgement, Verdict
from ckgit.experiment.design.model import Claim, DataSet, RunType
from ckgit.experiment.measured.answers import Score
from ckgit.experiment.results import CellResult, Metric, RunRow, Sample
from tests.analysis.build import cell

SUPPORTED, NOT_SUPPORTED, UNDECIDED = Judgement.SUPPORTED, Judgement.NOT_SUPPORTED, Judgement.UNDECIDED
SCOPE = Scope("these two models", "each was trained with one seed", "this does not generalize to their settings")


def claim(**changes: Any) -> Claim:
    fields = {"metric": "accuracy", "task": "capitalization", "left": "tuned", "right": "base", "direction": "greater"}
    return Claim.model_validate_json(json.dumps(fields | changes))


def rows(left: list[CellResult], right: list[CellResult]) -> list[RunRow]:
    return [
        RunRow(name="tuned", type=RunType.FINE_TUNED, cells=tuple(left)),
        RunRow(name="base", type=RunType.CONTROL, cells=tuple(right)),
    ]


def scored(run: str, *scores: Score, name: str = "accuracy", value: float | None = None, targets: str = "A") -> CellResult:
    """A cell with these scores; its metric is the mean of those that there are, unless another value is given."""
    known = [float(score) for score in scores if isinstance(score, int | float)]
    metric = Metric(
        scorer="match", name=name, value=sum(known) / len(known) if value is None else value, samples=len(known), asked=len(scores)
    )
    samples = tuple(Sample(id=place, scores={"match": score}, target=targets) for place, score in enumerate(scores, start=1))
    return cell(run, 0, metrics=(metric,), samples=samples)


def compare(left: CellResult, right: CellResult, **changes: Any) -> Verdict:
    return judge(claim(**changes), rows([left], [right]), {}, SCOPE)


@pytest.mark.parametrize(
    ("tuned", "base", "by", "expected"),
    [
        (36, 4, 0.0, SUPPORTED),
        (36, 4, 0.5, SUPPORTED),  # 0.8: from 0.62
        (36, 4, 0.75, UNDECIDED),
        (36, 4, 0.95, NOT_SUPPORTED),  # up to 0.90
        (4, 36, 0.0, NOT_SUPPORTED),
        (21, 19, 0.0, UNDECIDED),  # from -0.04
    ],
)
def test_the_interval_of_the_difference_decides(tuned: int, base: int, by: float, expected: Judgement) -> None:
    verdict = judge(claim(by=by), rows([cell("tuned", tuned, epoch=0)], [cell("base", base)]), {}, SCOPE)
    assert verdict.judgement is expected
    assert verdict.paired
    assert verdict.samples == 40
    assert verdict.difference == pytest.approx((tuned - base) / 40)


def test_less_is_greater_the_other_way_round() -> None:
    runs = rows([cell("tuned", 4, epoch=0)], [cell("base", 36)])
    assert judge(claim(direction="less", by=0.5), runs, {}, SCOPE).judgement is SUPPORTED
    assert judge(claim(direction="greater", by=0.5), runs, {}, SCOPE).judgement is NOT_SUPPORTED
    assert judge(claim(direction="less", by=0.95), runs, {}, SCOPE).judgement is NOT_SUPPORTED


def test_the_difference_stays_left_minus_right() -> None:
    verdict = judge(claim(direction="less"), rows([cell("tuned", 4, epoch=0)], [cell("base", 36)]), {}, SCOPE)
    assert verdict.difference == pytest.approx(-0.8)
    assert verdict.low is not None
    assert verdict.high is not None
    assert verdict.low < -0.8 < verdict.high


def test_other_sample_ids_are_not_paired() -> None:
    verdict = judge(claim(), rows([cell("tuned", 36, epoch=0)], [cell("base", 4, of=50)]), {}, SCOPE)
    assert (verdict.paired, verdict.interval, verdict.samples) == (False, "Newcombe", 40)
    # Wilson: 36 of 40 [0.769502, 0.960429], 4 of 50 [0.031545, 0.188410]; 0.82 - √(0.130498² + 0.108410²), 0.82 + √(0.060429² + 0.048455²)
    assert (verdict.low, verdict.high) == (pytest.approx(0.650345, abs=2e-5), pytest.approx(0.897457, abs=2e-5))


def test_rows_of_other_data_are_not_paired_though_their_numbers_agree() -> None:
    tuned, base = cell("tuned", 36, epoch=0), cell("base", 4)
    others = tuple(sample.model_copy(update={"target": f"B{sample.id}"}) for sample in base.samples)
    by_target = judge(claim(), rows([tuned], [base.model_copy(update={"samples": others})]), {}, SCOPE)
    words, more = DataSet(path="data/words.json"), DataSet(path="data/more.json")
    by_data = judge(claim(), rows([tuned], [base]), {"tuned": words, "base": more}, SCOPE)
    assert (by_target.paired, by_data.paired) == (False, False)
    assert (by_target.interval, by_data.interval) == ("Newcombe", "Newcombe")
    assert judge(claim(), rows([tuned], [base]), {"tuned": words, "base": words}, SCOPE).paired


def test_the_last_epoch_is_compared() -> None:
    verdict = judge(claim(), rows([cell("tuned", 36, epoch=2), cell("tuned", 1, epoch=0)], [cell("base", 4)]), {}, SCOPE)
    assert (verdict.left, verdict.left_epoch, verdict.right_epoch) == (0.9, 2, None)


@pytest.mark.parametrize(
    ("left", "right", "by", "expected", "low", "high"),
    [
        (40, 0, 0.9, UNDECIDED, 0.860, 1.0),  # all rows differ, and other rows need not
        (40, 0, 0.5, SUPPORTED, 0.860, 1.0),
        (40, 40, 0.0, UNDECIDED, -0.066, 0.066),  # alike on these rows
        (40, 40, 0.1, NOT_SUPPORTED, -0.066, 0.066),
    ],
)
def test_rows_that_differ_alike_have_an_interval(left: int, right: int, by: float, expected: Judgement, low: float, high: float) -> None:
    verdict = judge(claim(by=by), rows([cell("tuned", left, epoch=0)], [cell("base", right)]), {}, SCOPE)
    assert (verdict.judgement, verdict.interval) == (expected, "Bonett-Price")
    assert (verdict.low, verdict.high) == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))


def test_numbers_are_compared_by_students_t() -> None:
    # Student 1908, the same patients with two drugs: R's t.test(extra ~ group, data = sleep, paired = TRUE), and unpaired
    one, other = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    paired = compare(scored("tuned", *one, name="mean"), scored("base", *other, name="mean"), metric="mean", direction="less")
    assert (paired.judgement, paired.interval, paired.samples, paired.paired) == (SUPPORTED, "paired t", 10, True)
    assert (paired.low, paired.high) == (pytest.approx(-2.4598858), pytest.approx(-0.7001142))
    apart = compare(scored("tuned", *one, name="mean"), scored("base", *other, name="mean", targets="B"), metric="mean", direction="less")
    assert (apart.judgement, apart.interval, apart.paired) == (UNDECIDED, "Welch t", False)
    assert (apart.low, apart.high) == (pytest.approx(-3.3654832), pytest.approx(0.2054832))


def test_numbers_that_differ_alike_decide_nothing() -> None:
    verdict = compare(scored("tuned", 7.0, 8.0, 9.0, name="mean"), scored("base", 2.0, 3.0, 4.0, name="mean"), metric="mean")
    assert (verdict.judgement, verdict.difference, verdict.low) == (UNDECIDED, 5.0, None)
    assert verdict.reason.startswith("each row differs by the same amount, which does not say what other rows would show")


def test_two_scored_rows_are_not_compared_with_eight() -> None:
    """One run has scores for 2 of 8 rows; on those both runs are alike."""
    tuned, base = scored("tuned", 1.0, 1.0, *[None] * 6), scored("base", 1.0, 1.0, 1.0, 1.0, *[0.0] * 4)
    verdict = compare(tuned, base)
    assert (verdict.judgement, verdict.paired, verdict.samples) == (UNDECIDED, True, 8)
    assert (verdict.left_scored, verdict.left_asked, verdict.right_scored, verdict.right_asked) == (2, 8, 8, 8)
    # missing as 0: b 0, c 2 of 8, p 1/10, q 3/10: -0.2 - 1.96·√(0.36/10); as 1: b 4, c 0, p 5/10, q 1/10: 0.4 + 1.96·√(0.44/10)
    assert (verdict.low, verdict.high) == (pytest.approx(-0.571877, abs=1e-6), pytest.approx(0.811125, abs=1e-6))
    assert verdict.interval == "Bonett-Price, missing scores at worst and at best"
    assert "tuned: 2 of 8 scored, the missing ones taken at worst and at best" in verdict.reason


def test_few_missing_scores_leave_a_large_difference_supported() -> None:
    tuned, base = scored("tuned", *[1.0] * 95, *[None] * 5), scored("base", *[0.0] * 98, None, 1.0)
    verdict = compare(tuned, base, by=0.5)
    assert verdict.judgement is SUPPORTED
    assert verdict.low is not None
    # missing as 0 on the left, as 1 on the right: b 95, c 2 of 100
    assert verdict.low == pytest.approx(96 / 102 - 3 / 102 - 1.959964 * ((99 / 102 - (93 / 102) ** 2) / 102) ** 0.5, abs=1e-6)
    assert "tuned: 95 of 100 scored, base: 99 of 100 scored, the missing ones" in verdict.reason


def test_missing_scores_of_a_scale_that_is_not_known_decide_nothing() -> None:
    numbers = [float(each) for each in range(1, 41)]
    tuned, base = scored("tuned", *[each + 50 for each in numbers[:-1]], None, name="mean"), scored("base", *numbers, name="mean")
    verdict = compare(tuned, base, metric="mean")
    assert (verdict.judgement, verdict.low, verdict.interval) == (UNDECIDED, None, None)
    assert "the scale of this score is not known; tuned: 39 of 40 scored, so the missing ones could be anything" in verdict.reason


def test_missing_scores_are_unknown_to_a_metric_that_is_no_mean() -> None:
    error = {"stderr": 0.01}
    tuned, base = scored("tuned", 1.0, None, name="auc", value=0.9), scored("base", 1.0, 0.0, name="auc", value=0.6)
    tuned, base = (each.model_copy(update={"metrics": (each.metrics[0].model_copy(update=error),)}) for each in (tuned, base))
    verdict = compare(tuned, base, metric="auc")
    assert (verdict.judgement, verdict.low) == (UNDECIDED, None)
    assert verdict.reason.startswith("auc is not a mean of the rows' scores, so nothing is known of what the missing ones would have made")
    assert "tuned: 1 of 2 scored" in verdict.reason


def test_a_verdict_says_what_it_is_about() -> None:
    for verdict in (compare(cell("tuned", 36, epoch=0), cell("base", 4)), judge(claim(), rows([], []), {}, SCOPE)):
        assert verdict.about == "these two models"
        assert verdict.reason.endswith("; each was trained with one seed: this does not generalize to their settings")


def test_no_standard_error_no_decision() -> None:
    bare = (Metric(scorer="match", name="perplexity", value=9.0, samples=40),)
    low = (Metric(scorer="match", name="perplexity", value=1.0, samples=40),)
    verdict = compare(cell("tuned", 36, epoch=0, metrics=bare), cell("base", 4, metrics=low), metric="perplexity")
    assert (verdict.judgement, verdict.difference, verdict.low) == (UNDECIDED, 8.0, None)
    assert verdict.reason.startswith("perplexity is not a mean of the rows' scores, and the evaluator gave no standard error")


def test_a_missing_side_is_named() -> None:
    verdict = judge(claim(), rows([], [cell("base", 4)]), {}, SCOPE)
    assert verdict.judgement is Judgement.IMPOSSIBLE
    assert verdict.reason.startswith("there is no result of tuned on capitalization; ")


def test_an_unknown_metric_cannot_be_judged_and_lists_those_there_are() -> None:
    verdict = judge(claim(metric="f1"), rows([cell("tuned", 36, epoch=0)], [cell("base", 4)]), {}, SCOPE)
    assert verdict.judgement is Judgement.IMPOSSIBLE
    assert "tuned on capitalization has no metric f1 (it has: accuracy)" in verdict.reason


def test_several_scorers_need_a_choice() -> None:
    two = tuple(Metric(scorer=name, name="accuracy", value=0.9, samples=40) for name in ("match", "includes"))
    runs = rows([cell("tuned", 36, epoch=0, metrics=two)], [cell("base", 4)])
    assert "several scorers (match, includes)" in judge(claim(), runs, {}, SCOPE).reason
    assert judge(claim(scorer="match"), runs, {}, SCOPE).judgement is SUPPORTED
