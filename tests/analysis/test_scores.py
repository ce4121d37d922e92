from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckgit.analysis.scores import SampleScores, as_number, difference, mean_scores, means, scored_count, with_intervals
from ckgit.experiment.measured.answers import Score
from ckgit.experiment.results import CellResult, Metric, Sample
from tests.analysis.build import cell

ACCURACY = Metric(scorer="match", name="accuracy", value=0.75, samples=40)


def answered(*scores: Score, epochs: int = 1, **changes: Any) -> CellResult:
    """A cell with these scores, row by row; its accuracy is the mean of those that there are."""
    listed = [Sample(id=place // epochs, epoch=place % epochs + 1, scores={"match": score}) for place, score in enumerate(scores)]
    known: dict[object, list[float]] = {}
    for sample in listed:
        if isinstance(value := sample.scores["match"], int | float):
            known.setdefault(sample.id, []).append(value)
    by_row = [sum(each) / len(each) for each in known.values()]
    metric = Metric(scorer="match", name="accuracy", value=sum(by_row) / len(by_row) if by_row else None, samples=len(by_row))
    return cell("rank4", 0, samples=tuple(listed), metrics=(metric.model_copy(update=changes),))


def interval(of: CellResult) -> tuple[float | None, float | None, str | None]:
    [metric] = with_intervals(of, means([of])).metrics
    return metric.low and round(metric.low, 3), metric.high and round(metric.high, 3), metric.interval


@pytest.mark.parametrize(
    ("score", "number"),
    [("C", 1.0), ("P", 0.5), ("I", 0.0), ("N", 0.0), (True, 1.0), (3, 3.0), ("yes", 1.0), ("No", 0.0), ("0.25", 0.25)],
)
def test_a_score_as_inspect_reads_it(score: Score, number: float) -> None:
    assert as_number(score) == number


@pytest.mark.parametrize("score", [None, "A", "", "nan", float("nan"), float("inf")])
def test_what_is_no_number_is_none(score: Score) -> None:
    assert as_number(score) is None


def test_an_id_that_was_answered_twice_counts_once() -> None:
    samples = (Sample(id=1, scores={"match": 1.0}), Sample(id=1, epoch=2, scores={"match": 0.0}), Sample(id=2, scores={"match": "C"}))
    found = mean_scores(cell("rank4", 0, samples=samples), ACCURACY)
    assert found
    assert found.scored() == {1: 0.5, 2: 1.0}
    assert not found.binary


def test_an_unscored_sample_is_missing_and_the_others_are_kept() -> None:
    samples = (Sample(id=1, scores={"match": 1.0}), Sample(id=2, scores={"match": None}), Sample(id=3, scores={}))
    found = mean_scores(cell("rank4", 0, samples=samples), ACCURACY.model_copy(update={"value": 1.0}))
    assert found
    assert (found.scored(), found.filled(0.0), found.whole) == ({1: 1.0}, {1: 1.0, 2: 0.0, 3: 0.0}, False)


def test_where_rows_belong_together_scores_that_are_missing_are_taken_at_worst_and_at_best_and_other_numbers_have_no_interval() -> None:
    def of(*scores: Score, name: str = "accuracy") -> Metric:
        found = answered(*scores, name=name, stderr=0.1)
        people = (sample.model_copy(update={"metadata": {"person": at // 4}}) for at, sample in enumerate(found.samples))
        [metric] = with_intervals(found.model_copy(update={"samples": tuple(people)}), {("match", "accuracy")}, "person").metrics
        return metric

    rows = [1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0]
    worst, best = of(*rows[:-1], 0.0), of(*rows[:-1], 1.0)
    found = of(*rows[:-1], None)
    assert (found.low, found.high) == (worst.low, best.high)
    assert found.interval == "CR2 on log odds, missing scores at worst and at best"
    assert of(*[row * 3 for row in rows[:-1]], None).low is None  # of which nobody knows what would be worst
    assert of(*rows, name="auc").interval is None


def test_a_scorer_of_several_values_is_found_by_its_key() -> None:
    samples = (Sample(id=1, scores={"parts.prefix": 1.0, "parts.stop": 0.0}), Sample(id=2, scores={"parts.prefix": 0.0, "parts.stop": 0.0}))
    found = mean_scores(cell("rank4", 0, samples=samples), Metric(scorer="prefix", name="accuracy", value=0.5, samples=2))
    assert found
    assert found.scored() == {1: 1.0, 2: 0.0}


def test_a_share_has_wilsons_interval_whatever_the_evaluator_says_of_its_error() -> None:
    found = with_intervals(cell("base", 30, of=30), frozenset({("match", "accuracy")})).metrics[0]
    assert (found.value, found.stderr, found.interval) == (1.0, 0.0, "Wilson")
    assert (found.low, found.high) == (pytest.approx(0.8864866), 1.0)


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (answered(1.0), (0.207, 1.0, "Wilson")),  # one row
        (answered(1.0, 0.0, epochs=2), (0.055, 0.945, "Wilson")),  # one row, answered twice
        (answered(1.0, 0.0, 1.0, 1.0, 0.0, 0.0, epochs=2), (0, 1.0, "t")),  # means of rows: 0.5, 1, 0; cut to the scale
        (answered(0.5, 0.5, 0.5, 0.5), (0.15, 0.85, "Wilson")),  # partly right, all of them
        (answered(*[0.7, 0.8] * 5), (0.712, 0.788, "t")),
        (answered(1.0, None), (0.095, 1.0, "Wilson, missing scores at worst and at best")),
        (answered(*[1.0] * 2, *[None] * 6), (0.071, 1.0, "Wilson, missing scores at worst and at best")),
        (answered(7.0, 8.0), (1.147, 13.853, "t")),  # a scale that is not known cuts nothing
        (answered(7.0, None, 9.0), (None, None, None)),
        (answered(7.0, 7.0), (None, None, None)),
        (answered(None), (None, None, None)),
    ],
)
def test_the_interval_of_one_run(of: CellResult, expected: tuple[float | None, float | None, str | None]) -> None:
    assert interval(of) == expected


def test_a_metric_that_is_no_mean_has_the_interval_of_its_evaluators_error_or_none() -> None:
    auc = {"name": "auc", "value": 0.7}
    assert interval(answered(1.0, 0.0, **auc)) == (None, None, None)
    assert interval(answered(1.0, 0.0, stderr=0.1, **auc)) == (0.504, 0.896, "normal approximation")
    assert interval(answered(1.0, 0.0, stderr=0.0, **auc)) == (None, None, None)
    assert interval(answered(1.0, None, stderr=0.1, **auc)) == (None, None, None)  # what is missing is in no standard error


def test_a_metric_that_equals_the_mean_in_one_cell_by_chance_is_none() -> None:
    always_same = answered(1.0, 0.0, name="auc")  # an AUC of 0.5
    trained = answered(1.0, 1.0, 0.0, 1.0, name="auc", value=0.9)
    assert interval(always_same) == (None, None, None)
    assert means([always_same, trained]) == frozenset()
    assert means([always_same, answered(1.0, 1.0, 0.0, name="auc")]) == {("match", "auc")}
    assert means([always_same, answered(1.0, 1.0, name="auc", value=None)]) == frozenset()  # an undefined one does not tell either


@pytest.mark.parametrize(
    ("of", "scored", "asked"),
    [
        (answered(1.0, 0.0), 2, 2),
        (answered(1.0, None), 1, 2),
        (answered(None, None), 0, 2),
        (answered(1.0, None, 0.0, 0.0, epochs=2), 3, 4),
        (answered("A", "B", value=0.5, samples=2), 2, 2),  # no numbers, but scores
        (cell("rank4", 20, metrics=(Metric(scorer="other", name="accuracy", value=0.5, samples=33),)), 33, 40),
        (cell("rank4", 20, metrics=(Metric(scorer="match", name="accuracy", value=0.5, samples=40, asked=44),)), 40, 44),
    ],
)
def test_what_was_scored_is_counted(of: CellResult, scored: int, asked: int) -> None:
    assert scored_count(of, of.metrics[0]) == (scored, asked)


def test_the_rows_that_were_asked_are_in_the_results() -> None:
    for of, asked in ((answered(1.0, None), 2), (answered(1.0, 0.0, 0.0, 0.0, epochs=2), 2), (answered(1.0, asked=5), 5)):
        assert with_intervals(of, means([of])).metrics[0].asked == asked


SCORES = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=2, max_size=12)


@settings(deadline=None)  # a machine may be busy
@given(SCORES, SCORES, st.sets(st.integers(0, 11)), st.sets(st.integers(0, 11)), st.booleans())
def test_worst_case_bounds_have_the_complete_interval_in_them(
    one: list[float], other: list[float], lost: set[int], also_lost: set[int], paired: bool
) -> None:
    if paired:
        other = (other * len(one))[: len(one)]
    full = [SampleScores({key: (score,) for key, score in enumerate(side)}) for side in (one, other)]
    seen = [
        SampleScores({key: (None,) if key in gone else each for key, each in side.by_id.items()})
        for side, gone in zip(full, (lost, also_lost), strict=True)
    ]
    complete, bounded = (difference(*sides, paired=paired, unit=True) for sides in (full, seen))
    assert complete
    assert bounded
    assert -1 <= bounded.low <= bounded.high <= 1
    if full == seen:
        assert bounded == complete
    binary = {*one, *other} <= {0.0, 1.0}
    if binary:
        assert bounded.low <= complete.low + 1e-12
        assert complete.high <= bounded.high + 1e-12
