"""Tasks and scorers that a lab writes itself, each through a real job: what they are given, and what is recorded and computed again."""

import hashlib
import json
from pathlib import Path

import pytest

from ckgit.experiment.design.files import files_for
from ckgit.experiment.jobs import FailureClass
from ckgit.experiment.results import CellResult
from ckgit.experiment.worker import Context
from ckgit.lab.tasks.new import TaskFacts, plan_task
from ckgit.workers.inspect_ai import worker
from tests.workers.inspect_ai.examples import BASE, TASK, WORDS, Ended, job_of, make_context, make_work_tree, run_job

pytestmark = pytest.mark.slow
SCORERS = b"""
from pathlib import Path

from inspect_ai.scorer import SampleScore, Score, mean, metric, scorer, stderr

from words import shout

LEVELS = Path(__file__).parent / "levels.txt"


@metric
def spread():
    def compute(scores: list[SampleScore]):
        values = [each.score.as_float() for each in scores]
        return max(values) - min(values)

    return compute


@scorer(metrics=[mean(), stderr(), spread()])
def risk_scorer(levels, weights, default=3):
    known = LEVELS.read_text().split()

    async def score(state, target):
        value = len(set(levels) & set(known)) + weights["a"][1] + (0 if default is None else 100) + shout(target.text).count("E")
        return Score(value=float(value), answer=state.output.completion)

    return score
"""
FILES = {"tasks/scorers.py": SCORERS, "tasks/words.py": b"def shout(text):\n    return text.upper()\n", "tasks/levels.txt": b"low high\n"}
CHOSEN = [{"name": "tasks/scorers.py@risk_scorer", "args": {"levels": ["low", "high", "mid"], "weights": {"a": [1, 20]}, "default": None}}]
ORDINARY = b"""
from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample, json_dataset
from inspect_ai.scorer import includes


@task
def capitalization():
    remembered = MemoryDataset([Sample(input="Say yes", target="yes")])
    return Task(dataset=[*json_dataset("own.jsonl"), *remembered], scorer=includes())
"""


def with_files(context: Context, files: dict[str, bytes]) -> Context:
    """The context as design leaves it, with the digests of what the task was found to need."""
    context = context._replace(sources={**context.sources, **files})
    summary = context.summary
    needed = files_for(summary, summary.evaluation.tasks[0], context.sources)
    recorded = summary.recorded.model_copy(
        update={"files": {path: hashlib.sha256(context.sources[path]).hexdigest() for path in needed}}
    )
    return context._replace(summary=summary.model_copy(update={"recorded": recorded}))


def run_in(context: Context, models: Path, work: Path, change: dict[str, bytes] | None = None) -> Ended:
    make_work_tree(context, models, work)
    for path, content in (change or {}).items():
        (work / path).write_bytes(content)
    return Ended(context, work, run_job(context, work, BASE))


def test_a_scorer_of_the_lab_is_given_arguments_of_any_json_type_and_what_cannot_be_computed_again_is_said(models: Path, tmp_path: Path):
    context = with_files(make_context(models, evaluation__scorers=CHOSEN), FILES)
    assert sorted(context.summary.recorded.files) == sorted(FILES)
    assert worker.check(context) == []
    ended = run_in(context, models, tmp_path / "work")
    evidence = ended.evidence()
    assert evidence.reasons == [], ended.output
    [result] = evidence.results
    assert isinstance(result, CellResult)
    # apple grape lemon apple: two known levels, 20, and an E for each of the words but none more
    assert {metric.name: metric.value for metric in result.metrics} == {"mean": 23.0, "spread": 0.0}
    audit = worker.audit(context, job_of(context, BASE), ended.attempt, evidence.files)
    assert audit.differences == []
    assert audit.unchecked == [f"{BASE}: risk_scorer spread is not one of inspect's: it is not computed again"]
    asked = worker.asked(context, context.plan.cells_of("base")[0], lambda path: (ended.work / path).read_bytes())
    assert asked["scorers"] == CHOSEN


@pytest.mark.parametrize("path", sorted(FILES))
def test_a_file_that_is_another_one_in_the_work_tree_stops_the_job(models: Path, tmp_path: Path, path: str):
    context = with_files(make_context(models, evaluation__scorers=CHOSEN), FILES)
    ended = run_in(context, models, tmp_path / "work", {path: b"# another\n"})
    evidence = ended.evidence()
    assert evidence.failure is FailureClass.INPUT_CHANGED
    assert path in ended.output


def test_an_ordinary_task_of_inspect_brings_its_data_and_its_samples_are_counted(models: Path, tmp_path: Path):
    rows = "".join(json.dumps({"input": f"Say {n}", "target": str(n)}) + "\n" for n in range(3)).encode()
    alone = make_context(models, task=ORDINARY, data={}, runs=[{"name": "base", "type": "control"}])
    context = with_files(alone, {"tasks/own.jsonl": rows})
    assert [problem.message for problem in worker.check(context) if not problem.warning] == []
    ended = run_in(context, models, tmp_path / "work")
    evidence = ended.evidence()
    assert evidence.reasons == [], ended.output
    [result] = evidence.results
    assert isinstance(result, CellResult)
    assert (len(result.samples), result.tokens) == (4, None)
    assert [(metric.scorer, metric.name, metric.samples) for metric in result.metrics] == [("includes", "accuracy", 4)]
    audit = worker.audit(context, job_of(context, BASE), ended.attempt, evidence.files)
    assert (audit.differences, audit.unchecked) == ([], [])
    assert worker.results(context, job_of(context, BASE), ended.attempt, evidence.files) == [result]


def test_errors_of_numbers_are_measured_where_there_is_a_number_and_undefined_where_there_is_none(models: Path, tmp_path: Path):
    task = plan_task("capitalization", "numeric", TaskFacts()).files["tasks/capitalization.py"]
    context = make_context(models, task=task)
    data = json.dumps({split: [{**row, "output": str(len(row["output"]))} for row in rows] for split, rows in WORDS.items()}).encode()
    recorded = context.summary.recorded.data["words"].model_copy(update={"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)})
    known = context.summary.recorded.model_copy(update={"data": {"words": recorded}})
    context = context._replace(
        summary=context.summary.model_copy(update={"recorded": known}), sources={**context.sources, "data/words.json": data}
    )
    assert worker.check(context) == []
    ended = run_in(context, models, tmp_path / "work")
    evidence = ended.evidence()
    assert evidence.reasons == [], ended.output
    [result] = evidence.results
    assert isinstance(result, CellResult)
    found = {(metric.scorer, metric.name): (metric.value, metric.samples, metric.asked) for metric in result.metrics}
    # what this model says has no digits
    assert found == {
        ("absolute_error", "mean"): (None, 0, 4),
        ("absolute_error", "rmse"): (None, 0, 4),
        ("parsed", "accuracy"): (0.0, 4, 4),
    }
    audit = worker.audit(context, job_of(context, BASE), ended.attempt, evidence.files)
    assert audit.differences == []
    assert audit.unchecked == [f"{BASE}: absolute_error rmse is not one of inspect's: it is not computed again"]


@pytest.mark.parametrize(
    ("scorer", "words"),
    [
        ({"name": "tasks/scorers.py@risk"}, "tasks/scorers.py has no @scorer function 'risk' (it has: risk_scorer)"),
        ({"name": "tasks/scorers.py@risk_scorer", "args": {"levels": [], "weights": {}, "a": 1}}, "has no argument 'a'"),
        ({"name": "tasks/scorers.py@risk_scorer", "args": {"levels": []}}, "needs weights among its args"),
    ],
)
def test_a_scorer_of_the_lab_is_checked_by_the_text_of_its_file(scorer: dict, words: str):
    context = with_files(make_context(evaluation__scorers=[scorer]), FILES)
    [problem] = worker.check(context)
    assert words in problem.message
    assert problem.path.startswith("evaluation.scorers.0.")


def test_a_file_that_a_task_opens_and_its_jobs_will_not_have_is_warned_of():
    task = TASK + b"\nRUBRIC = open('rubric.txt').read()\nOTHER = open('../../other.txt').read()\nDATA = open('../data/words.json')\n"
    context = with_files(make_context(task=task), {})
    begin, end = "task capitalization: tasks/capitalization.py opens", "so its jobs will not find it"
    assert [(problem.message, problem.warning) for problem in worker.check(context)] == [
        (f"{begin} tasks/rubric.txt, which is not committed in the lab, {end}", True),
        (f"{begin} ../other.txt, which lies outside of the lab, {end}", True),
    ]
    assert worker.check(with_files(make_context(task=task.replace(b"../../other", b"rubric")), {"tasks/rubric.txt": b"be strict"})) == []
