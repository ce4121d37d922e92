import pytest

from ckgit.analysis.scores import as_number, by_id, mean_scores, with_stderr
from ckgit.experiment.results import Metric, Sample, Score
from tests.analysis.build import cell


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
    assert by_id(cell("rank4", 0, samples=samples), "match") == {1: 0.5, 2: 1.0}


def test_an_unscored_sample_leaves_no_scores() -> None:
    samples = (Sample(id=1, scores={"match": 1.0}), Sample(id=2, scores={"match": None}))
    assert by_id(cell("rank4", 0, samples=samples), "match") is None


def test_a_scorer_of_several_values_is_found_by_its_key() -> None:
    samples = (Sample(id=1, scores={"parts.prefix": 1.0, "parts.stop": 0.0}), Sample(id=2, scores={"parts.prefix": 0.0, "parts.stop": 0.0}))
    assert by_id(cell("rank4", 0, samples=samples), "prefix") == {1: 1.0, 2: 0.0}


def test_the_evaluators_standard_error_is_taken() -> None:
    found = with_stderr(cell("rank4", 30), Metric(scorer="match", name="accuracy", value=0.75, stderr=0.5, samples=40))
    assert (found.stderr, found.stderr_from) == (0.5, "tool")


def test_a_mean_without_one_gets_that_of_its_samples() -> None:
    found = with_stderr(cell("rank4", 30), Metric(scorer="match", name="accuracy", value=0.75, samples=40))
    assert found.stderr == pytest.approx((0.75 * 0.25 / 39) ** 0.5)
    assert found.stderr_from == "samples"


def test_no_standard_error_is_invented_for_what_is_no_mean() -> None:
    metric = Metric(scorer="match", name="perplexity", value=12.5, samples=40)
    assert with_stderr(cell("rank4", 30), metric) == metric
    assert mean_scores(cell("rank4", 30), metric) is None
