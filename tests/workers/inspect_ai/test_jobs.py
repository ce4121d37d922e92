"""Real jobs: the rendered script, inspect-ai, a model with random weights, and the judgement of what they left."""

from pathlib import Path
from typing import NamedTuple

import pytest

from ckgit.experiment.jobs import Attempt, FailureClass
from ckgit.experiment.results import CellResult
from ckgit.experiment.worker import Context, Evidence
from ckgit.workers.inspect_ai import worker
from tests.workers.inspect_ai.examples import TASK, job_of, make_context, make_work_tree, run_job

pytestmark = pytest.mark.slow
TUNED, BASE = "tuned/eval/capitalization_epoch0", "base/eval/capitalization_base"
BROKEN = b"""
from inspect_ai.scorer import scorer


@scorer(metrics=[])
def broken():
    async def score(state, target):
        raise ValueError("no score today")

    return score


"""
LOG = "experiments/cap/tuned/eval/logs/capitalization_epoch0.eval"


class Ended(NamedTuple):
    """A job that was run, and what is needed to judge it."""

    context: Context
    work: Path
    attempt: Attempt

    def evidence(self, context: Context | None = None) -> Evidence:
        return worker.evidence(context or self.context, job_of(self.context, self.attempt.job), self.attempt, self.work)

    @property
    def output(self) -> str:
        return (self.work / ".ckgit/jobs" / self.attempt.token / "output").read_text()


def job(models: Path, work: Path, name: str, **changes: object) -> Ended:
    context = make_context(models, **changes)
    make_work_tree(context, models, work)
    assert worker.ready(context, job_of(context, name), work) == []
    return Ended(context, work, run_job(context, work, name))


@pytest.fixture(scope="module")
def tuned(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The evaluation of a fine-tuned run, on a folder as LoRA leaves it."""
    return job(models, tmp_path_factory.mktemp("work"), TUNED)


def test_a_job_leaves_evidence(tuned: Ended):
    evidence = tuned.evidence()
    assert (evidence.reasons, evidence.failure, sorted(evidence.files)) == ([], None, [LOG])
    result = evidence.result
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
    assert "inspect_ai" in result.versions


def test_the_result_is_read_again_from_what_was_committed(tuned: Ended):
    evidence = tuned.evidence()
    assert worker.result(tuned.context, job_of(tuned.context, TUNED), tuned.attempt, evidence.files) == evidence.result
    assert worker.result(tuned.context, job_of(tuned.context, TUNED), tuned.attempt, {}) is None


def test_of_a_log_over_the_limit_its_extract_is_committed(tuned: Ended):
    small = tuned.context._replace(max_log_bytes=1000)
    evidence = tuned.evidence(small)
    extract = LOG.replace(".eval", ".json")
    assert sorted(evidence.files) == [extract]
    assert worker.result(small, job_of(small, TUNED), tuned.attempt, evidence.files) == evidence.result
    for damaged in (b"{}", evidence.files[extract].replace(b'"tuned"', b'"other"'), b""):
        with pytest.raises(ValueError, match=r"capitalization_epoch0\.json"):
            worker.result(small, job_of(small, TUNED), tuned.attempt, {extract: damaged})


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
    ended = job(models, tmp_path, TUNED, task=TASK.replace(b"ask(system_prompt)", b"ask()"))
    evidence = ended.evidence()
    assert (evidence.result, evidence.failure) == (None, FailureClass.TOKENS_DIFFER)
    assert "tokens" in evidence.reasons[0]
    assert "[system]Use {capitals}.<eot>[user]Word: " in ended.output
    assert "evaluation: '<bos>[user]Word: " in ended.output
    assert ended.attempt.exit_code == 66


def test_an_error_is_no_success_although_inspect_exits_with_0(models: Path, tmp_path: Path):
    task = TASK.replace(b"@task\n", BROKEN + b"@task\n").replace(b"scorer=scorers_from(", b"scorer=broken() or dict(")
    ended = job(models, tmp_path, BASE, task=task)
    evidence = ended.evidence()
    assert "Log:" in ended.output  # inspect came to its end
    assert ended.attempt.exit_code == 68
    assert (evidence.result, evidence.failure) == (None, FailureClass.ERROR)
    assert "no score today" in evidence.reasons[0]
    assert list(evidence.files) == [LOG.replace("tuned", "base").replace("epoch0", "base")]
