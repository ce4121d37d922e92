import json
from typing import Any

import pytest

from ckgit.analysis.claims import judge
from ckgit.experiment.design import Claim, DataSet, RunType
from ckgit.experiment.results import CellResult, Judgement, Metric, RunRow
from tests.analysis.build import cell

SUPPORTED, NOT_SUPPORTED, UNDECIDED = Judgement.SUPPORTED, Judgement.NOT_SUPPORTED, Judgement.UNDECIDED


def claim(**changes: Any) -> Claim:
    fields = {"metric": "accuracy", "task": "capitalization", "left": "tuned", "right": "base", "direction": "greater"}
    return Claim.model_validate_json(json.dumps(fields | changes))


def rows(left: list[CellResult], right: list[CellResult]) -> list[RunRow]:
    return [
        RunRow(name="tuned", type=RunType.FINE_TUNED, cells=tuple(left)),
        RunRow(name="base", type=RunType.CONTROL, cells=tuple(right)),
    ]


@pytest.mark.parametrize(
    ("tuned", "base", "by", "expected"),
    [
        (36, 4, 0.0, SUPPORTED),
        (36, 4, 0.5, SUPPORTED),  # 0.8 ± 0.064: from 0.67
        (36, 4, 0.75, UNDECIDED),
        (36, 4, 0.95, NOT_SUPPORTED),  # up to 0.93
        (4, 36, 0.0, NOT_SUPPORTED),
        (21, 19, 0.0, UNDECIDED),  # 0.05 ± 0.035
    ],
)
def test_the_interval_of_the_difference_decides(tuned: int, base: int, by: float, expected: Judgement) -> None:
    verdict = judge(claim(by=by), rows([cell("tuned", tuned, epoch=0)], [cell("base", base)]), {})
    assert verdict.judgement is expected
    assert verdict.paired
    assert verdict.samples == 40
    assert verdict.difference == pytest.approx((tuned - base) / 40)


def test_less_is_greater_the_other_way_round() -> None:
    runs = rows([cell("tuned", 4, epoch=0)], [cell("base", 36)])
    assert judge(claim(direction="less", by=0.5), runs, {}).judgement is SUPPORTED
    assert judge(claim(direction="greater", by=0.5), runs, {}).judgement is NOT_SUPPORTED
    assert judge(claim(direction="less", by=0.95), runs, {}).judgement is NOT_SUPPORTED


def test_the_difference_stays_left_minus_right() -> None:
    verdict = judge(claim(direction="less"), rows([cell("tuned", 4, epoch=0)], [cell("base", 36)]), {})
    assert verdict.difference == pytest.approx(-0.8)
    assert verdict.low is not None
    assert verdict.high is not None
    assert verdict.low < -0.8 < verdict.high


def test_other_sample_ids_are_not_paired() -> None:
    verdict = judge(claim(), rows([cell("tuned", 36, epoch=0)], [cell("base", 4, of=50)]), {})
    assert not verdict.paired
    assert verdict.stderr == pytest.approx(((0.9 * 0.1 / 39) + (0.08 * 0.92 / 49)) ** 0.5)
    assert verdict.samples == 40


def test_rows_of_other_data_are_not_paired_though_their_numbers_agree() -> None:
    tuned, base = cell("tuned", 36, epoch=0), cell("base", 4)
    others = tuple(sample.model_copy(update={"target": f"B{sample.id}"}) for sample in base.samples)
    by_target = judge(claim(), rows([tuned], [base.model_copy(update={"samples": others})]), {})
    words, more = DataSet(path="data/words.json"), DataSet(path="data/more.json")
    by_data = judge(claim(), rows([tuned], [base]), {"tuned": words, "base": more})
    assert (by_target.paired, by_data.paired) == (False, False)
    assert by_data.stderr == pytest.approx((0.09 / 39 * 2) ** 0.5)
    assert judge(claim(), rows([tuned], [base]), {"tuned": words, "base": words}).paired


def test_sides_without_spread_that_are_not_paired_are_not_said_to_differ_by_sample() -> None:
    verdict = judge(claim(), rows([cell("tuned", 40, epoch=0)], [cell("base", 0, of=50)]), {})
    assert (verdict.stderr, verdict.paired) == (0.0, False)
    assert verdict.reason.startswith("each side's samples all have the same score;")


def test_the_last_epoch_is_compared() -> None:
    verdict = judge(claim(), rows([cell("tuned", 36, epoch=2), cell("tuned", 1, epoch=0)], [cell("base", 4)]), {})
    assert (verdict.left, verdict.left_epoch, verdict.right_epoch) == (0.9, 2, None)


@pytest.mark.parametrize(("base", "by", "expected"), [(0, 1.0, SUPPORTED), (0, 1.5, NOT_SUPPORTED), (40, 0.0, NOT_SUPPORTED)])
def test_where_all_samples_differ_alike_the_numbers_are_compared_and_it_is_said(base: int, by: float, expected: Judgement) -> None:
    verdict = judge(claim(by=by), rows([cell("tuned", 40, epoch=0)], [cell("base", base)]), {})
    assert (verdict.judgement, verdict.stderr) == (expected, 0.0)
    assert "standard error of 0 is no measure" in verdict.reason


def test_no_standard_error_no_decision() -> None:
    bare = (Metric(scorer="match", name="perplexity", value=9.0, samples=40),)
    low = (Metric(scorer="match", name="perplexity", value=1.0, samples=40),)
    verdict = judge(claim(metric="perplexity"), rows([cell("tuned", 36, epoch=0, metrics=bare)], [cell("base", 4, metrics=low)]), {})
    assert (verdict.judgement, verdict.difference, verdict.stderr) == (UNDECIDED, 8.0, None)


def test_a_missing_side_is_named() -> None:
    verdict = judge(claim(), rows([], [cell("base", 4)]), {})
    assert (verdict.judgement, verdict.reason) == (UNDECIDED, "there is no result of tuned on capitalization")


def test_an_unknown_metric_lists_those_there_are() -> None:
    verdict = judge(claim(metric="f1"), rows([cell("tuned", 36, epoch=0)], [cell("base", 4)]), {})
    assert "tuned on capitalization has no metric f1 (it has: accuracy)" in verdict.reason


def test_several_scorers_need_a_choice() -> None:
    two = tuple(Metric(scorer=name, name="accuracy", value=0.9, samples=40) for name in ("match", "includes"))
    runs = rows([cell("tuned", 36, epoch=0, metrics=two)], [cell("base", 4)])
    assert "several scorers (match, includes)" in judge(claim(), runs, {}).reason
    assert judge(claim(scorer="match"), runs, {}).judgement is SUPPORTED
