"""Attempts as schedulers are asked for them."""

from __future__ import annotations

from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, Phase


def attempt(token: str, *, submitted: str = "2026-11-23T12:00:00Z", job_id: str | None = None) -> Attempt:
    return Attempt(
        job="rank8/finetune",
        stage=Stage.TRAINING,
        number=1,
        token=token,
        script_sha256="0" * 64,
        phase=Phase.SUBMITTED,
        submitted=submitted,
        job_id=job_id,
    )


def attempts(*tokens: str) -> list[Attempt]:
    return [attempt(token) for token in tokens]
