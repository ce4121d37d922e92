"""Real jobs: the rendered script, inspect-ai, a model with random weights, and the judgement of what they left."""

import json
import shutil
from pathlib import Path

import pytest

from ckgit.experiment.cluster import Cluster
from ckgit.experiment.jobs import FailureClass
from ckgit.experiment.results import CellResult
from ckgit.workers.inspect_ai import worker
from tests.workers.inspect_ai.examples import BASE, LOG, TASK, TUNED, Ended, job_of, make_context, make_work_tree, run_cell, run_job

pytestmark = pytest.mark.slow
BROKEN = b"""
from inspect_ai.scorer import scorer


@scorer(metrics=[])
def broken():
    async def score(state, target):
        raise ValueError("no score today")

    return score


"""


def test_a_job_leaves_evidence(tuned: Ended):
    evidence = tuned.evidence()
    assert (evidence.reasons, evidence.failure, sorted(evidence.files)) == ([], None, [LOG])
    (result,) = evidence.results
    assert isinstance(result, CellResult)
    assert (result.run, result.task, result.epoch, result.log) == ("tuned", "capitalization", 0, LOG)
    assert [(metric.scorer, metric.name, metric.samples) for metric in result.metrics] == [("match", "accuracy", 4)]
    assert result.metrics[0].stderr is not None
    assert [(sample.id, sample.target, sample.scores) for sample in result.samples[:2]] == [
        (1, "APPLE", {"match": 0.0}),
        (2, "GRAPE", {"match": 0.0}),
    ]
    assert result.tokens is not None
    assert (result.tokens.rows, result.tokens.end_of_turn) == (4, 257)
    assert {"inspect_ai", "python", "torch", "transformers", "tokenizers", "safetensors"} <= set(result.versions)


def test_neither_set_up_lines_nor_a_file_of_the_work_tree_give_inspect_a_setting(models: Path, tmp_path: Path):
    site = Cluster(setup=("export INSPECT_EVAL_EPOCHS=4 INSPECT_EVAL_EPOCHS_REDUCER=max INSPECT_EVAL_SOLVER=none",))
    context = make_context(models)._replace(cluster=site)
    work = make_work_tree(context, models, tmp_path / "work")
    (work / ".env").write_text("INSPECT_EVAL_MESSAGE_LIMIT=1\nINSPECT_EVAL_MAX_RETRIES=5\n")
    (work.parent / ".env").write_text("INSPECT_EVAL_TIME_LIMIT=1\n")
    (work / "transformers.py").write_text("raise ImportError('of the work tree')")
    ended = Ended(context, work, run_job(context, work, TUNED, warm=False))
    evidence = ended.evidence()
    assert evidence.reasons == []
    assert evidence.results[0].metrics[0].samples == 4
    from inspect_ai.log import read_eval_log

    given = read_eval_log(work / LOG, header_only=True).eval
    assert given.model_generate_config.max_retries is None
    assert {getattr(given.config, name) for name in ("epochs_reducer", "message_limit", "time_limit")} == {None}


def test_the_result_is_read_again_from_what_was_committed(tuned: Ended):
    evidence = tuned.evidence()
    assert worker.results(tuned.context, job_of(tuned.context, TUNED), tuned.attempt, evidence.files) == evidence.results
    assert worker.results(tuned.context, job_of(tuned.context, TUNED), tuned.attempt, {}) == []


def test_its_duration_is_the_jobs_and_not_inspects_own(tuned: Ended):
    later = tuned.attempt.model_copy(update={"started": "2026-11-23T10:00:00+00:00", "ended": "2026-11-23T10:00:42+00:00"})
    job = job_of(tuned.context, TUNED)
    judged = worker.evidence(tuned.context, job, later, tuned.work)
    assert [result.seconds for result in judged.results] == [42]
    assert [result.seconds for result in worker.results(tuned.context, job, later, judged.files)] == [42]


def test_of_a_log_over_the_limit_its_extract_is_committed(tuned: Ended):
    small = tuned.context._replace(max_log_bytes=1000)
    evidence = tuned.evidence(small)
    extract = LOG.replace(".eval", ".json")
    assert sorted(evidence.files) == [extract]
    told = json.loads(evidence.files[extract])
    assert (told["log_bytes"], told["max_log_bytes"]) == ((tuned.work / LOG).stat().st_size, 1000)
    assert worker.results(small, job_of(small, TUNED), tuned.attempt, evidence.files) == evidence.results
    older = json.dumps({name: value for name, value in told.items() if name not in ("log_bytes", "max_log_bytes", "token")}).encode()
    assert len(worker.results(small, job_of(small, TUNED), tuned.attempt, {extract: older})) == 1
    for damaged in (b"{}", evidence.files[extract].replace(b'"tuned"', b'"other"'), b""):
        with pytest.raises(ValueError, match=r"capitalization_epoch0\.json"):
            worker.results(small, job_of(small, TUNED), tuned.attempt, {extract: damaged})


def test_progress_is_read_from_what_inspect_prints(tuned: Ended):
    seen = worker.progress(tuned.context, job_of(tuned.context, TUNED), tuned.work, tuned.output)
    assert seen is not None
    assert (seen.step, seen.steps) == (4, 4)


def test_nothing_is_left_but_the_log(tuned: Ended):
    assert [path.name for path in (tuned.work / LOG).parent.iterdir()] == [Path(LOG).name]


def test_generation_follows_the_design_and_not_the_model_folder(tuned: Ended):
    assert "temperature" in (tuned.work / "models/plain/generation_config.json").read_text()
    assert "temperature" not in tuned.output  # transformers warns when greedy decoding is given one


def test_a_task_that_drops_the_system_prompt_is_stopped(models: Path, tmp_path: Path):
    ended = run_cell(models, tmp_path, TUNED, task=TASK.replace(b"ask(system_prompt)", b"ask()"))
    evidence = ended.evidence()
    assert (evidence.results, evidence.failure) == ((), FailureClass.TOKENS_DIFFER)
    assert "tokens" in evidence.reasons[0]
    assert "[system]Use {capitals}.<eot>[user]Word: " in ended.output
    assert "evaluation: '<bos>[user]Word: " in ended.output
    assert ended.attempt.exit_code == 66


def test_an_error_is_no_success_although_inspect_exits_with_0(models: Path, tmp_path: Path):
    task = TASK.replace(b"@task\n", BROKEN + b"@task\n").replace(b"scorer=scorers_from(", b"scorer=broken() or dict(")
    ended = run_cell(models, tmp_path, BASE, task=task)
    evidence = ended.evidence()
    assert "Log:" in ended.output  # inspect came to its end
    assert ended.attempt.exit_code == 68
    assert (evidence.results, evidence.failure) == ((), FailureClass.ERROR)
    assert "no score today" in evidence.reasons[0]
    assert list(evidence.files) == [LOG.replace("tuned", "base").replace("epoch0", "base")]


def test_rows_that_leave_no_room_for_an_answer_end_a_control_s_job_before_anything_is_generated(models: Path, tmp_path: Path):
    short = tmp_path / "models"
    shutil.copytree(models / "plain", short / "plain")
    config = short / "plain/config.json"
    config.write_text(json.dumps({**json.loads(config.read_bytes()), "max_position_embeddings": 40}))
    work = tmp_path / "work"
    work.mkdir()
    ended = run_cell(short, work, BASE)
    assert ended.attempt.exit_code == 1
    assert "test row 3 has " in ended.output
    assert not list(work.glob("experiments/cap/base/eval/logs/*.eval"))
    evidence = ended.evidence()
    assert evidence.failure is FailureClass.ERROR
    failure, sentence = worker.explain(ended.output, ended.attempt.exit_code)
    assert (failure, "data/words.json: 4 rows cannot be used" in sentence) == (FailureClass.ERROR, True)
