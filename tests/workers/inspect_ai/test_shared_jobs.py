"""Cells of one checkpoint in one job: the model is loaded once, and each cell has the log that it has in a job of its own."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ckgit.experiment.jobs import FailureClass
from ckgit.experiment.results import CellResult
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


@pytest.fixture(scope="module")
def whole(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The job of the tuned checkpoint, as it ends undisturbed."""
    return work_tree(models, tmp_path_factory.mktemp("whole"))


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
def test_the_model_is_loaded_once_and_each_cell_has_its_result(whole: Ended):
    ended = whole
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
    assert [(result.task, len(result.samples)) for result in evidence.results] == [("capitalization", 4)]
    assert evidence.failure is FailureClass.ERROR
    (reason,) = evidence.reasons
    assert reason.startswith("two_words_epoch0: ")
    assert "no second task today" in reason
    assert (list(evidence.cells), evidence.cells["capitalization_epoch0"]) == (["two_words_epoch0", "capitalization_epoch0"], "")
    count = ended.attempt.model_copy(update={"cells": dict(evidence.cells)})
    job = job_of(ended.context, TUNED)
    assert worker.results(ended.context, job, count, evidence.files) == evidence.results
    made = (logs / "capitalization_epoch0.eval").stat().st_mtime_ns
    (tmp_path / "mended").touch()
    again = ended._replace(attempt=run_job(ended.context, tmp_path, TUNED, 2))
    assert "capitalization_epoch0.eval is complete: it is not evaluated again" in again.output
    assert (logs / "capitalization_epoch0.eval").stat().st_mtime_ns == made
    cells = [result for result in again.evidence().results if isinstance(result, CellResult)]
    assert [(cell.task, len(cell.samples)) for cell in cells] == [("two_words", 2), ("capitalization", 4)]
    assert [cell.token for cell in cells] == [again.attempt.token, ended.attempt.token]


@pytest.mark.slow
def test_a_log_that_was_made_by_hand_is_made_again_by_an_attempt(whole: Ended, tmp_path: Path):
    ended = whole._replace(work=tmp_path / "work")
    shutil.copytree(whole.work, ended.work, symlinks=True)
    log = ended.work / "experiments/cap/tuned/eval/logs/two_words_epoch0.eval"
    change(log, lambda found: found.eval.metadata["ckgit"].update({"token": "by-hand-4711"}))
    again = ended._replace(attempt=run_job(ended.context, ended.work, TUNED, 2))
    assert "does not count: it was made by hand, and not by an attempt; it is kept as two_words_epoch0.refused1.eval" in again.output
    cells = [result for result in again.evidence().results if isinstance(result, CellResult)]
    assert [cell.token for cell in cells] == [ended.attempt.token, again.attempt.token]


@pytest.mark.slow
def test_a_damaged_log_is_made_again(whole: Ended, tmp_path: Path):
    ended = whole._replace(work=tmp_path / "work")
    shutil.copytree(whole.work, ended.work, symlinks=True)
    log = ended.work / "experiments/cap/tuned/eval/logs/two_words_epoch0.eval"
    log.write_bytes(damaged := log.read_bytes()[:-100])
    evidence = ended.evidence()
    assert (evidence.failure, [result.task for result in evidence.results]) == (FailureClass.OUTPUT_MISSING, ["capitalization"])
    refuse(log.with_name("capitalization_epoch0.eval"), "success")  # by its status it is complete, and the judge refuses it
    assert [(cell, why[:21]) for cell, why in ended.evidence().cells.items()] == [
        ("capitalization_epoch0", "the log is of another"),
        ("two_words_epoch0", "the log cannot be rea"),
    ]
    again = ended._replace(attempt=run_job(ended.context, ended.work, TUNED, 2))
    assert "two_words_epoch0.eval does not count: the log cannot be read" in again.output
    assert "it is kept as two_words_epoch0.refused1.eval, and the cell is evaluated again" in again.output
    assert again.evidence().reasons == []
    assert log.with_name("two_words_epoch0.refused1.eval").read_bytes() == damaged
    assert log.with_name("capitalization_epoch0.refused1.eval").exists()


def refuse(log: Path, status: str) -> None:
    """Give a log a setting that was not planned."""

    def give(found: Any) -> None:
        assert found.status == status
        found.eval.config.limit = 3

    change(log, give)


def change(log: Path, by: Callable[[Any], object]) -> None:
    """Have inspect write a log again, with another content."""
    from inspect_ai.log import read_eval_log, write_eval_log

    found = read_eval_log(str(log))
    by(found)
    write_eval_log(found, str(log))
