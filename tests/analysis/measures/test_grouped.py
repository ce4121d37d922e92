"""Scores by groups of rows: which columns are taken, what a gap may claim, and how often chance alone makes one."""

from __future__ import annotations

import random

import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from ckgit.analysis.measures.grouped import grouped
from ckgit.analysis.measures.section import groups_section
from ckgit.experiment.design.model import RunType, TaskSpec
from ckgit.experiment.results import CellResult, Metric, RunRow, Sample
from tests.analysis.build import cell

TASK = TaskSpec(name="capitalization")


def answered(scores: list[float], run: str = "rank8", **columns: list) -> CellResult:
    rows = [{name: values[n] for name, values in columns.items()} for n in range(len(scores))]
    samples = [Sample(id=n, target="A", answer="A", scores={"match": s}, metadata=rows[n]) for n, s in enumerate(scores)]
    metric = Metric(scorer="match", name="accuracy", value=sum(scores) / len(scores), samples=len(scores))
    return cell(run, 0, samples=tuple(samples), metrics=(metric,))


def runs(*cells: CellResult) -> list[RunRow]:
    return [RunRow(name=each.run, type=RunType.CONTROL, cells=(each,)) for each in cells]


def test_columns_that_suit_are_taken() -> None:
    sexes, ages, regions = ["f", "m"] * 30, list(range(60)), ["north"] * 51 + ["south"] * 9
    found = list(grouped(TASK, runs(answered([1.0, 0.0, 1.0] * 20, sex=sexes, age=ages, region=regions, left=[n < 30 for n in range(60)]))))
    assert [each.column for each in found] == ["left", "sex"]  # ages are too many, and too few rows are from the south
    assert [each.value for each in found[0].groups] == ["false", "true"]


def test_a_group_has_wilsons_interval() -> None:
    (found,) = grouped(TASK, runs(answered([1.0] * 30 + [0.0] * 10 + [1.0] * 20, sex=["f"] * 40 + ["m"] * 20)))
    (women, men) = found.groups
    assert (women.low, women.high) == pytest.approx(proportion_confint(30, 40, method="wilson"))
    assert (men.score, men.rows) == (1.0, 20)
    assert found.gap
    assert (found.gap.first, found.gap.second, found.gap.difference) == ("m", "f", 0.25)


def test_named_columns_alone_are_taken_and_small_groups_have_no_interval() -> None:
    task = TaskSpec(name="capitalization", groups=("region",))
    cell = answered([1.0, 0.0] * 30, sex=["f", "m"] * 30, region=["north"] * 50 + ["south"] * 7 + [None] * 3)
    (found,) = grouped(task, runs(cell))
    assert [(each.value, each.rows, each.low is None) for each in found.groups] == [("north", 50, False), ("south", 7, True)]
    assert found.left_out == 3
    assert found.gap is None


def test_a_gap_allows_for_all_that_were_looked_at() -> None:
    """Of other numbers by Welch's t at 1-0.05/gaps, as scipy has it."""
    chance = random.Random(1)  # noqa: S311 - test data
    scores = [chance.random() * 3 + (number % 3 == 0) for number in range(90)]
    cells = [answered(scores, run, kind=["a", "b", "c"] * 30) for run in ("one", "two")]
    cells = [each.model_copy(update={"metrics": (each.metrics[0].model_copy(update={"name": "mean"}),)}) for each in cells]
    (found, _) = grouped(TASK, runs(*cells))
    assert found.gap
    assert found.gap.looked_at == 6
    sides = [scores["abc".index(value) :: 3] for value in (found.gap.first, found.gap.second)]
    wanted = stats.ttest_ind(*sides, equal_var=False).confidence_interval(1 - 0.05 / 6)
    assert (found.gap.low, found.gap.high) == pytest.approx((wanted.low, wanted.high))


def test_chance_alone_seldom_makes_a_gap() -> None:
    chance = random.Random(8)  # noqa: S311 - test data
    false = 0
    for _ in range(300):
        scores = [float(chance.random() < 0.7) for _ in range(200)]
        columns = {name: [chance.choice("abcd") for _ in scores] for name in ("one", "two", "three")}
        found = list(grouped(TASK, runs(answered(scores, **columns))))
        false += any(each.gap and each.gap.low is not None and each.gap.low > 0 for each in found)
    assert false <= 25  # 5 % are 15; more than 25 come by chance once in 200


def test_rows_that_belong_together_widen_a_group() -> None:
    scores = [float(number // 10 % 2) for number in range(200)]
    cell = answered(scores, sex=["f", "m"] * 100, person=[str(number // 10) for number in range(200)])
    (alone,) = grouped(TASK.model_copy(update={"groups": ("sex",)}), runs(cell))
    (together,) = grouped(TASK.model_copy(update={"groups": ("sex",), "clusters": "person"}), runs(cell))
    one, other = alone.groups[0], together.groups[0]
    assert other.interval == "CR2 on log odds"
    assert one.low is not None
    assert other.low is not None
    assert other.low < one.low - 0.1
    assert together.gap
    assert together.gap.low is None  # each person is as right in both, so the gap does not vary at all


def test_a_gap_between_persons_is_wider_than_one_between_rows() -> None:
    chance = random.Random(8)  # noqa: S311 - test data
    person = [number // 10 for number in range(200)]
    own = [chance.random() for _ in range(20)]
    scores = [float(chance.random() < own[each]) for each in person]
    cell = answered(scores, sex=["f" if each % 2 else "m" for each in person], person=[str(each) for each in person])
    (alone,) = grouped(TASK.model_copy(update={"groups": ("sex",)}), runs(cell))
    (together,) = grouped(TASK.model_copy(update={"groups": ("sex",), "clusters": "person"}), runs(cell))
    assert alone.gap
    assert together.gap
    assert together.gap.interval == "CR2"
    assert together.gap.low is not None
    assert alone.gap.low is not None
    assert together.gap.low < alone.gap.low - 0.05


def test_hostile_names_stay_text() -> None:
    cell = answered([1.0, 0.0] * 30, **{"<script>|x": ["[a](http://x)", "=b\n# c"] * 30})
    text = groups_section(tuple(grouped(TASK, runs(cell))))
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "\\[a\\](http:\u200b//x)" in text
    assert "\n# c" not in text


def test_a_named_column_that_no_row_has_is_not_left_out_in_silence() -> None:
    found = list(grouped(TaskSpec(name="capitalization", groups=("region",)), runs(answered([1.0, 0.0] * 30, sex=["f", "m"] * 30))))
    assert [(each.column, each.groups, each.left_out) for each in found] == [("region", (), 60)]
    text = groups_section(found)
    assert "**accuracy by region**" in text
    assert "60 rows are in no group that is shown" in text
