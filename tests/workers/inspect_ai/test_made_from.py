"""What decides an evaluation: all that its task reads and is given."""

import hashlib

import pytest

from ckgit.experiment.design.files import files_for
from ckgit.workers.inspect_ai import worker
from tests.workers.inspect_ai.examples import BASE, TASK, job_of, make_context

OWN = b"""
from inspect_ai import Task, task
from inspect_ai.dataset import json_dataset
from inspect_ai.scorer import includes


@task
def capitalization():
    return Task(dataset=json_dataset("../data/quiz.jsonl"), scorer=includes())
"""
FEW_SHOT = TASK.replace(b"    return Task(", b'    shots = open("../data/quiz.jsonl").read()\n    return Task(')
SETS = {"words": {"path": "data/words.json"}, "quiz": {"path": "data/quiz.jsonl"}}


def made(task: bytes, quiz: bytes, sets: dict) -> dict:
    """What decides an evaluation of the base model, as design records it: `find_files` and `DataSets`."""
    context = make_context(task=task, data=sets)
    context = context._replace(sources={**context.sources, "data/quiz.jsonl": quiz})
    recorded = context.summary.recorded
    digest = hashlib.sha256(quiz).hexdigest()
    data = {name: each.model_copy(update={"sha256": digest}) if name == "quiz" else each for name, each in recorded.data.items()}
    needed = {path for each in context.summary.evaluation.tasks for path in files_for(context.summary, each, context.sources)}
    files = {path: hashlib.sha256(context.sources[path]).hexdigest() for path in needed}
    recorded = recorded.model_copy(update={"data": data, "files": files})
    context = context._replace(summary=context.summary.model_copy(update={"recorded": recorded}))
    return dict(worker.made_from(context, job_of(context, BASE), lambda _: None))


@pytest.mark.parametrize("task", [OWN, FEW_SHOT], ids=["own data", "few-shot"])
@pytest.mark.parametrize("sets", [{"words": SETS["words"]}, SETS], ids=["not named", "named"])
def test_other_rows_are_another_evaluation(task: bytes, sets: dict) -> None:
    assert made(task, b'{"input": "1+1", "target": "2"}\n', sets) != made(task, b'{"input": "1+1", "target": "3"}\n', sets)


LABELLED = TASK.replace(b"    data: str,", b"    data: str,\n    labels=None,")


def given(labels: object) -> dict:
    context = make_context(task=LABELLED, evaluation__tasks__0__args={"labels": labels})
    return dict(worker.made_from(context, job_of(context, BASE), lambda _: None))


def test_a_list_is_no_mapping_of_its_positions() -> None:
    assert given(["no", "yes"]) != given({"0": "no", "1": "yes"})
