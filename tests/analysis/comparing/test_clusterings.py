"""Where rows belong together, results and report say how much less they tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ckgit.analysis.assemble import assemble
from ckgit.analysis.report import render
from ckgit.analysis.statistics.design_effect import design_effect
from ckgit.experiment.accounting import Accounting
from ckgit.experiment.results import CellResult, Results
from ckgit.orchestrators.analyze.files import document_of
from tests.analysis.build import context, jobs, left

RIGHT = {"rank4": 20, "rank8": 35, "base": 5}
CONTEXT = context(evaluation={"tasks": [{"name": "capitalization", "clusters": "person"}]})


def results(people: int, of: Any = CONTEXT, other: str = "", right: Mapping[str, int] = RIGHT, backwards: str = "") -> Results:
    """Forty rows, whose first ones are right, of so many persons in turn of their order; one run may have others, or begin at the end."""

    def told(cell: CellResult) -> CellResult:
        target = "B" if cell.run == other else "A"
        own = ({"metadata": {"person": at * people // 40}, "target": target} for at in range(40))
        samples = (sample.model_copy(update=each) for sample, each in zip(cell.samples, own, strict=True))
        samples = reversed([*samples]) if cell.run == backwards else samples
        return cell.model_copy(update={"samples": tuple(samples), "rows": "00000000 11111111"})

    made = {name: [told(each) if isinstance(each, CellResult) else each for each in found] for name, found in left(of, right).items()}
    return assemble(of, jobs(of), made, {}, Accounting())


def test_results_and_report_say_how_much_less_rows_tell_that_belong_together() -> None:
    found = results(20)
    [together] = found.clustering
    assert (together.task, together.column, together.clusters, together.rows) == ("capitalization", "person", 20, 40)
    assert together.sketch == "00000000 11111111"
    scores = [[1.0 if at < right else 0.0 for at in range(40)] for right in RIGHT.values()]
    expected = design_effect(scores, [at // 2 for at in range(40)])
    assert expected
    assert (together.effect, together.icc) == (pytest.approx(expected.effect), pytest.approx(expected.icc))
    assert 1.5 < together.effect < 2.1  # pairs that are alike
    text = render(CONTEXT, None, found, {}).decode()
    said = f"of differences between settings they tell as much as {40 / together.effect:.0f} rows that each stand alone: design effect 1."
    assert f"40 rows belong together by person, in 20 clusters: {said}" in text
    assert "so few clusters hardly tell that" not in text
    assert b'"clustering"' in document_of(found)
    assert {cell.clusters for run in found.runs for cell in run.cells} == {tuple(at // 2 for at in range(40))}


@pytest.mark.parametrize(("other", "backwards"), [("base", ""), ("rank4", ""), ("base", "rank8")])
def test_who_answered_other_rows_is_left_out(other: str, backwards: str) -> None:
    [together] = results(20, other=other, backwards=backwards).clustering
    scores = [[1.0 if at < right else 0.0 for at in range(40)] for run, right in RIGHT.items() if run != other]
    expected = design_effect(scores, [at // 2 for at in range(40)])
    assert expected
    assert together.effect == pytest.approx(expected.effect)


def test_of_one_setting_there_are_no_differences() -> None:
    of = context(variables={}, runs=[{"name": "base", "type": "control"}], evaluation=CONTEXT.summary.evaluation.model_dump(mode="json"))
    found = results(20, of, right={"base": 5})
    assert len(found.runs) == 1
    assert found.clustering == ()
    assert "of differences between settings" not in render(of, None, found, {}).decode()


def test_rows_that_ask_the_same_are_said_to_tell_no_more_than_once() -> None:
    of = context()

    def said(asked: str) -> str:
        made = left(of, RIGHT)
        for name, some in made.items():
            made[name] = [each.model_copy(update={"asked": asked}) if isinstance(each, CellResult) else each for each in some]
        text = render(of, None, assemble(of, jobs(of), made, {}, Accounting()), {}).decode()
        return next((line for line in text.splitlines() if "ask what another one asks" in line), "")

    told = "".join(f"{at % 10:06x}" for at in range(40))
    assert said(told).startswith("40 of 40 rows ask what another one asks, too, and intervals take each for one that stands alone")
    assert said("".join(f"{at:06x}" for at in range(40))) == ""
    assert said("0" * 240) == ""  # what differs is elsewhere
    assert said("0" * 12 + "".join(f"{at:06x}" for at in range(2, 40))) == ""  # two of 40


def test_so_few_clusters_hardly_tell_that() -> None:
    found = results(4)
    assert found.clustering[0].clusters == 4
    assert "; so few clusters hardly tell that: 20 or more would." in render(CONTEXT, None, found, {}).decode()


def test_of_one_cluster_and_of_rows_that_stand_alone_nothing_is_said() -> None:
    assert results(1).clustering == ()
    alone = results(20, context())
    assert alone.clustering == ()
    assert {cell.clusters for run in alone.runs for cell in run.cells} == {None}
    assert b'"clustering"' not in document_of(alone)
