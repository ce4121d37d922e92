"""Cells of one checkpoint in one job: the model is loaded once, and each cell has the log that it has in a job of its own."""

import json
from pathlib import Path
from typing import Any

import pytest

from ckgit.experiment.jobs import FailureClass
from ckgit.workers.inspect_ai import worker
from tests.workers.inspect_ai.examples import TASK, Ended, job_of, make_context, make_work_tree, run_job

TUNED, BASE = "tuned/eval/epoch0", "base/eval/base"
SHARED: dict[str, Any] = {
    "compute": {"evaluation_jobs": "checkpoint"},
    "evaluation__tasks": [
        {"name": "capitalization"},
        {"name": "two_words", "file": "tasks/capitalization.py", "function": "capitalization", "limit": 2},
    ],
}
LOADED = "Loading weights: 100%"  # transformers says so for each model
# The second task fails as long as there is no file `mended`.
FAILS = (
    TASK
    + b"""
@task
def two_words(data: str, split: str, prompt: str, system_prompt: str) -> Task:
    import pathlib
    if not pathlib.Path("../mended").exists():
        raise ValueError("no second task today")
    return capitalization(data, split, prompt, system_prompt)
"""
)
TASKS = [{"name": "capitalization"}, {"name": "two_words", "file": "tasks/capitalization.py", "limit": 2}]


def work_tree(models: Path, work: Path, **changes: Any) -> Ended:
    context = make_context(models, **{**SHARED, **changes})
    make_work_tree(context, models, work)
    tokens = work / "experiments/cap/tuned/artifacts/tokens.json"
    tokens.write_text(json.dumps({task: json.loads(tokens.read_text())["capitalization"] for task in ("capitalization", "two_words")}))
    return Ended(context, work, run_job(context, work, TUNED))


def test_there_is_a_job_for_each_checkpoint_and_a_config_for_each_cell():
    context = make_context(**SHARED)
    assert [(job.name, job.tasks, job.epoch) for job in worker.jobs(context)] == [
        (TUNED, ("capitalization", "two_words"), 0),
        (BASE, ("capitalization", "two_words"), None),
    ]
    assert sorted(path.removeprefix("experiments/cap/tuned/eval/") for path in worker.scaffold(context, "tuned")) == [
        "capitalization_epoch0.yaml",
        "epoch0.slurm",
        "two_words_epoch0.yaml",
    ]


@pytest.mark.slow
def test_the_model_is_loaded_once_and_each_cell_has_its_result(models: Path, tmp_path: Path):
    ended = work_tree(models, tmp_path)
    assert ended.attempt.exit_code == 0, ended.output
    assert ended.output.count(LOADED) == 1
    evidence = ended.evidence()
    assert [(cell.task, cell.epoch, len(cell.samples)) for cell in evidence.results] == [("capitalization", 0, 4), ("two_words", 0, 2)]
    job = job_of(ended.context, TUNED)
    assert worker.results(ended.context, job, ended.attempt, evidence.files) == evidence.results
    seen = worker.progress(ended.context, job, ended.work, ended.output)
    assert seen is not None
    assert (seen.step, seen.steps) == (6, 6)


@pytest.mark.slow
def test_a_cell_that_fails_stops_no_other_and_is_alone_in_the_next_try(models: Path, tmp_path: Path):
    ended = work_tree(models, tmp_path, task=FAILS, evaluation__tasks=list(reversed(TASKS)))
    logs = tmp_path / "experiments/cap/tuned/eval/logs"
    assert ended.attempt.exit_code != 0
    evidence = ended.evidence()
    assert (evidence.results, evidence.failure) == ((), FailureClass.ERROR)
    assert "no second task today" in evidence.reasons[0]
    made = (logs / "capitalization_epoch0.eval").stat().st_mtime_ns
    (tmp_path / "mended").touch()
    again = ended._replace(attempt=run_job(ended.context, tmp_path, TUNED, 2))
    assert "capitalization_epoch0.eval is complete: it is not evaluated again" in again.output
    assert (logs / "capitalization_epoch0.eval").stat().st_mtime_ns == made
    assert [(result.task, len(result.samples)) for result in again.evidence().results] == [("two_words", 2), ("capitalization", 4)]


@pytest.mark.slow
def test_a_damaged_log_is_made_again(models: Path, tmp_path: Path):
    ended = work_tree(models, tmp_path)
    log = tmp_path / "experiments/cap/tuned/eval/logs/two_words_epoch0.eval"
    log.write_bytes(log.read_bytes()[:-100])
    assert ended.evidence().failure is FailureClass.OUTPUT_MISSING
    again = ended._replace(attempt=run_job(ended.context, tmp_path, TUNED, 2))
    assert again.evidence().reasons == []
