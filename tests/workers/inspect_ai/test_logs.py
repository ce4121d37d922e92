"""Logs that are no evaluation of their cell: each is refused, and the reason says why."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ckgit.experiment.jobs import FailureClass
from ckgit.workers.inspect_ai import worker
from tests.workers.inspect_ai.examples import LOG, TUNED, Ended, job_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # inspect's own imports warn


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a log is looked for in an otherwise empty work tree."""
    log = tmp_path / LOG
    log.parent.mkdir(parents=True)
    return log


def refused(tuned: Ended, tmp_path: Path) -> tuple[str, FailureClass | None]:
    evidence = tuned._replace(work=tmp_path).evidence()
    assert evidence.results == ()
    return "; ".join(evidence.reasons), evidence.failure


def tampered(tuned: Ended, place: Path, change: Callable[[Any], object]) -> None:
    from inspect_ai.log import read_eval_log, write_eval_log

    log = read_eval_log(str(tuned.work / LOG))
    change(log)
    write_eval_log(log, str(place))


def test_the_log_as_it_is_counts(tuned: Ended, place: Path, tmp_path: Path):
    tampered(tuned, place, lambda _: None)
    assert tuned._replace(work=tmp_path).evidence().reasons == []


@pytest.mark.parametrize("status", ["started", "cancelled", "error"])
def test_another_status(tuned: Ended, place: Path, tmp_path: Path, status: str):
    tampered(tuned, place, lambda log: setattr(log, "status", status))
    words = {"started": "was not finished", "cancelled": "was cancelled", "error": "ended with status error"}[status]
    assert words in refused(tuned, tmp_path)[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda log: setattr(log.eval, "model", "ckgit/other"), 'model "ckgit/other"'),
        (lambda log: setattr(log.eval, "task", "other"), 'task "other"'),
        (lambda log: setattr(log.eval, "task_file", "tasks/other.py"), "task file"),
        (lambda log: log.eval.task_args_passed.update(split="train"), "task arguments"),
        (lambda log: log.eval.model_args.update(model_path="models/other"), "model arguments"),
        (lambda log: setattr(log.eval.model_generate_config, "temperature", 0.5), "generation settings"),
        (lambda log: setattr(log.eval.config, "limit", 2), "limit 2"),
        (lambda log: log.samples.pop(), f"Sample id 4 for epoch 1 not found in log {LOG}"),
        (lambda log: setattr(log.results, "completed_samples", 3), "3 samples were completed and 4 logged; 4 were expected"),
        (lambda log: log.samples[0].scores.clear(), "1 samples have no score"),
        (lambda log: log.results.scores.clear(), "no metrics"),
        (lambda log: setattr(log.results.scores[0].metrics["accuracy"], "value", float("nan")), "accuracy of scorer match is nan"),
        (lambda log: setattr(log, "results", None), "no results"),
    ],
)
def test_another_evaluation(tuned: Ended, place: Path, tmp_path: Path, change: Callable[[Any], object], words: str):
    tampered(tuned, place, change)
    assert words in refused(tuned, tmp_path)[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda log: setattr(log.samples[1].output, "metadata", None),
        lambda log: log.samples[1].output.metadata["ckgit"].update(row=0),
        lambda log: log.samples[1].output.metadata["ckgit"]["check"].update(sha256="0" * 64),
    ],
)
def test_tokens_that_were_not_compared(tuned: Ended, place: Path, tmp_path: Path, change: Callable[[Any], object]):
    tampered(tuned, place, change)
    assert refused(tuned, tmp_path)[1] is FailureClass.TOKENS_DIFFER


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_log_that_was_cut_short(tuned: Ended, place: Path, tmp_path: Path, share: float):
    whole = (tuned.work / LOG).read_bytes()
    place.write_bytes(whole[: int(len(whole) * share)])
    reason, failure = refused(tuned, tmp_path)
    assert "cannot be read" in reason
    assert failure is FailureClass.OUTPUT_MISSING
    job = job_of(tuned.context, TUNED)
    with pytest.raises(ValueError, match="cannot be read"):
        worker.results(tuned.context, job, tuned.attempt, {LOG: place.read_bytes()})


def test_a_damaged_sample(tuned: Ended, place: Path, tmp_path: Path):
    content = bytearray((tuned.work / LOG).read_bytes())
    start = content.index(b"samples/1_epoch_1.json") + 60
    content[start : start + 40] = bytes(40)
    place.write_bytes(content)
    assert "cannot be read" in refused(tuned, tmp_path)[0]


def test_no_log(tuned: Ended, tmp_path: Path):
    assert refused(tuned, tmp_path) == (f"there is no log {LOG}", FailureClass.OUTPUT_MISSING)


def test_the_log_of_an_earlier_attempt_is_no_evidence_for_one_that_failed(tuned: Ended):
    later = tuned._replace(attempt=tuned.attempt.model_copy(update={"token": "later", "exit_code": 1}))
    evidence = later.evidence()
    assert (evidence.results, dict(evidence.files)) == ((), {})
