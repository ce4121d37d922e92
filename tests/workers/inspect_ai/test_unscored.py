"""Samples without a score, and metrics without a value: they are counted, and take nothing from the others. A real job, real scorers."""

from pathlib import Path

import pytest

from ckgit.experiment.results import CellResult
from ckgit.workers.inspect_ai import worker
from tests.workers.inspect_ai.examples import BASE, TASK, Ended, job_of, run_cell

pytestmark = pytest.mark.slow
# Sample n of 1 to 4. A model with random weights has no answer right, so `ranked` sees one class only: its AUC is undefined.
SCORERS = b"""
from inspect_ai.scorer import SampleScore, Score, accuracy, mean, metric, scorer, stderr


def nan():
    return float("nan")


@metric
def auc():
    def compute(scores: list[SampleScore]):
        right = [len(each.score.answer) for each in scores if each.score.as_float() == 1]
        wrong = [len(each.score.answer) for each in scores if each.score.as_float() == 0]
        pairs = [(a > b) + (a == b) / 2 for a in right for b in wrong]
        return sum(pairs) / len(pairs) if pairs else nan()

    return compute


@metric
def odds():
    return lambda scores: float("inf")


@scorer(metrics=[accuracy(), stderr(), auc(), odds()])
def ranked():
    async def score(state, target):
        return Score(value=float(state.output.completion == target.text), answer=state.output.completion)

    return score


@scorer(metrics=[mean(), stderr()])
def abstains():
    async def score(state, target):
        return {1: Score(value=1.0), 2: Score(value=0.0), 3: Score.unscored(reason="refusal"), 4: None}[state.sample_id]

    return score


@scorer(metrics=[accuracy(), stderr()])
def silent():
    async def score(state, target):
        return None

    return score


@scorer(metrics={"*": [mean(), stderr()]})
def rubric():
    async def score(state, target):
        tones, wits = [0.5, nan(), nan()], [1, None, 1]
        n = state.sample_id - 1
        return Score(value={"form": int(n < 2), "tone": tones[n], "wit": wits[n]} if n < 3 else nan())

    return score


def every(_):
    return [ranked(), abstains(), silent(), rubric()]


@task
"""


@pytest.fixture(scope="module")
def ended(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    task = TASK.replace(b"@task\n", SCORERS).replace(b"scorer=scorers_from(scorers, default=", b"scorer=every(")
    return run_cell(models, tmp_path_factory.mktemp("work"), BASE, task=task)


@pytest.fixture
def cell(ended: Ended) -> CellResult:
    assert ended.attempt.exit_code == 0, ended.output
    evidence = ended.evidence()
    assert (evidence.reasons, evidence.failure) == ([], None)
    (found,) = evidence.results
    assert isinstance(found, CellResult)
    return found


def test_an_undefined_metric_leaves_the_others_of_its_scorer(cell: CellResult):
    found = {metric.name: (metric.value, metric.samples, metric.asked) for metric in cell.metrics if metric.scorer == "ranked"}
    assert found == {"accuracy": (0.0, 4, 4), "auc": (None, 4, 4), "odds": (None, 4, 4)}
    assert [metric.stderr for metric in cell.metrics if metric.scorer == "ranked"] == [0.0, None, None]


def test_each_scorer_counts_its_own_samples(cell: CellResult):
    others = [metric for metric in cell.metrics if metric.scorer != "ranked"]
    found = {metric.scorer: (metric.name, metric.value, metric.samples, metric.asked) for metric in others}
    assert found == {
        "abstains": ("mean", 0.5, 2, 4),
        "silent": ("accuracy", None, 0, 4),
        "form": ("mean", pytest.approx(2 / 3), 3, 4),
        "tone": ("mean", 0.5, 1, 4),
        "wit": ("mean", None, 2, 4),  # inspect counts its null as 0, and says 2/3
    }


def test_a_score_that_is_missing_is_none_and_not_0(cell: CellResult):
    assert [{name: score for name, score in sample.scores.items() if name != "ranked"} for sample in cell.samples] == [
        {"abstains": 1.0, "silent": None, "rubric.form": 1, "rubric.tone": 0.5, "rubric.wit": 1},
        {"abstains": 0.0, "silent": None, "rubric.form": 1, "rubric.tone": None, "rubric.wit": None},
        {"abstains": None, "silent": None, "rubric.form": 0, "rubric.tone": None, "rubric.wit": 1},
        {"abstains": None, "silent": None, "rubric.form": None, "rubric.tone": None, "rubric.wit": None},
    ]


def test_the_report_reads_what_the_judge_read(ended: Ended, cell: CellResult):
    job = job_of(ended.context, BASE)
    assert worker.results(ended.context, job, ended.attempt, ended.evidence().files) == [cell]
    small = ended.context._replace(max_log_bytes=1000)
    (extract,) = worker.results(small, job, ended.attempt, ended.evidence(small).files)
    assert isinstance(extract, CellResult)
    assert (extract.log_bytes or 0) > (extract.max_log_bytes or 0) == 1000
    assert extract.model_copy(update={"log_bytes": None, "max_log_bytes": None}) == cell
