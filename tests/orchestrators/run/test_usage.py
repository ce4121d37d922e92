"""What an attempt took, by its own account and the scheduler's."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckgit.experiment.design.model import Resources, Stage
from ckgit.experiment.jobs import Attempt, Job, Ledger, Phase, Usage
from ckgit.orchestrators.run.usage import GPU_LOG, filled, lacking, used

ATTEMPT = Attempt(
    job="rank4/finetune",
    stage=Stage.TRAINING,
    number=1,
    token="t",  # noqa: S106 - a name
    script_sha256="0" * 64,
    phase=Phase.SUBMITTED,
    submitted="2026-11-23T12:00:00Z",
    started="2026-11-23T12:01:00Z",
    ended="2026-11-23T12:03:30Z",
    host="node1",
)


def job(resources: Resources | None = None) -> Job:
    return Job(name=ATTEMPT.job, stage=ATTEMPT.stage, run="rank4", script="x", folder="f", resources=resources or Resources())


def test_the_job_s_own_account_is_enough(tmp_path: Path) -> None:
    found = used(ATTEMPT, job(Resources(gpus=2)), None, tmp_path, device="cuda")
    assert found == Usage(queue_seconds=60.0, elapsed_seconds=150.0, gpus=2, node="node1")
    assert found.gpu_hours == pytest.approx(2 * 150 / 3600)


def test_the_scheduler_s_account_wins_where_it_has_one(tmp_path: Path) -> None:
    accounted = Usage(queue_seconds=5.0, cpu_seconds=33.0, peak_memory_bytes=7)
    found = used(ATTEMPT, job(), accounted, tmp_path, device="cpu")
    assert found == Usage(queue_seconds=5.0, elapsed_seconds=150.0, cpu_seconds=33.0, gpus=0, peak_memory_bytes=7, node="node1")


@pytest.mark.parametrize(
    ("asked", "again", "device", "gpus"),
    [(None, None, "cpu", 0), (None, None, "cuda", None), (0, None, "cuda", 0), (1, None, "cuda", 1), (1, 4, "cuda", 4)],
)
def test_gpus_that_nobody_counted_are_not_known(
    tmp_path: Path, asked: int | None, again: int | None, device: str, gpus: int | None
) -> None:
    attempt = ATTEMPT.model_copy(update={"resources": Resources(gpus=again)}) if again else ATTEMPT
    assert used(attempt, job(Resources(gpus=asked)), None, tmp_path, device=device).gpus == gpus


def test_an_attempt_that_never_started_has_no_times(tmp_path: Path) -> None:
    refused = ATTEMPT.model_copy(update={"started": None, "ended": None, "host": None})
    assert used(refused, job(), None, tmp_path, device="cpu") == Usage(gpus=0)


def test_utilization_is_the_mean_of_what_was_sampled(tmp_path: Path) -> None:
    (tmp_path / GPU_LOG).write_text("80, 40213\n100, 40213\n[N/A], 1\n0, 12\n")
    assert used(ATTEMPT, job(), None, tmp_path, device="cuda").gpu_utilization == 60.0
    (tmp_path / GPU_LOG).write_text("No devices were found\n")
    assert used(ATTEMPT, job(), None, tmp_path, device="cuda").gpu_utilization is None


OWN = Usage(queue_seconds=60.0, elapsed_seconds=150.0, gpus=1, node="node1")


def ended(token: str, usage: Usage | None, phase: Phase = Phase.DONE, job_id: str | None = "7") -> Attempt:
    return ATTEMPT.model_copy(update={"token": token, "phase": phase, "usage": usage, "job_id": job_id})


def test_accounting_that_came_late_is_filled_in_where_it_lacks() -> None:
    whole = OWN.model_copy(update={"cpu_seconds": 9.0})
    attempts = (
        ended("early", whole),
        ended("late", OWN, Phase.FAILED),
        ended("bare", None),
        ended("flying", None, Phase.SUBMITTED),
        ended("refused", None, Phase.FAILED, job_id=None),
        ended("unknown", OWN),
    )
    ledger = Ledger(cluster="della", scheduler="slurm", attempts=attempts)
    assert [attempt.token for attempt in lacking(attempts)] == ["late", "bare", "unknown"]
    told = Usage(elapsed_seconds=149.0, cpu_seconds=33.0, peak_memory_bytes=7)
    after = ledger.with_attempts(*filled(attempts, dict.fromkeys(("early", "late", "bare", "flying", "of another"), told))).attempts
    assert [attempt.token for attempt in after] == [attempt.token for attempt in attempts]  # in their order
    by_token = {attempt.token: attempt.usage for attempt in after}
    late = OWN.model_copy(update={"elapsed_seconds": 149.0, "cpu_seconds": 33.0, "peak_memory_bytes": 7})
    assert by_token == {"early": whole, "late": late, "bare": told, "flying": None, "refused": None, "unknown": OWN}
    assert [attempt.token for attempt in lacking(after)] == ["unknown"]


def test_without_news_of_accounting_nothing_is_filled_in() -> None:
    assert filled([ended("late", OWN)], {}) == []
