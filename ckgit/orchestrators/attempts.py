"""Attempts at jobs: which are needed, and what is known of those that were made. Pure, apart from the tokens' chance."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ckgit.experiment.design import Stage
from ckgit.experiment.jobs import Attempt, FailureClass, Job, Ledger, Phase

_TOKEN_HEAD = 80  # characters; the whole token stays under 100, which every scheduler takes as a job name


def new_token(experiment: str, job: str, number: int) -> str:
    """A name that no other attempt of any experiment has."""
    head = f"ckgit.{experiment}.{job.replace('/', '.')}"[:_TOKEN_HEAD].rstrip(".")
    return f"{head}.{number}.{secrets.token_hex(4)}"


def new_attempt(experiment: str, job: Job, script: bytes, before: Attempt | None, time: str) -> Attempt:
    """The intent to run a job, to be committed before it is handed over."""
    number = before.number + 1 if before else 1
    return Attempt(
        job=job.name,
        stage=job.stage,
        number=number,
        token=new_token(experiment, job.name, number),
        script_sha256=hashlib.sha256(script).hexdigest(),
        phase=Phase.SUBMITTED,
        submitted=time,
    )


class Tally(NamedTuple):
    """The jobs of a stage by where their latest attempt stands."""

    unsubmitted: Sequence[Job]
    open: Sequence[Attempt]
    done: Sequence[Attempt]
    failed: Sequence[Attempt]  # and cancelled

    @property
    def total(self) -> int:
        """How many jobs there are."""
        return len(self.unsubmitted) + len(self.open) + len(self.done) + len(self.failed)


def tally(ledger: Ledger | None, jobs: Sequence[Job]) -> Tally:
    """Sort jobs by their latest attempt."""
    latest = latest_attempts(ledger)
    tries = [latest[job.name] for job in jobs if job.name in latest]
    return Tally(
        unsubmitted=[job for job in jobs if job.name not in latest],
        open=[attempt for attempt in tries if attempt.phase is Phase.SUBMITTED],
        done=[attempt for attempt in tries if attempt.phase is Phase.DONE],
        failed=[attempt for attempt in tries if attempt.phase in (Phase.FAILED, Phase.CANCELLED)],
    )


def latest_attempts(ledger: Ledger | None) -> Mapping[str, Attempt]:
    """The newest attempt of each job, by the job's name."""
    return {attempt.job: attempt for attempt in (ledger.attempts if ledger else ())}


def passed_over(jobs: Iterable[Job], ledger: Ledger | None) -> list[Job]:
    """Evaluations that cannot be made, because the training of their run was passed over by --accept-missing."""
    accepted = ledger.accepted_missing if ledger else ()
    untrained = {
        attempt.job.partition("/")[0]
        for attempt in (ledger.attempts if ledger else ())
        if attempt.stage is Stage.TRAINING and attempt.job in accepted
    }
    return [job for job in jobs if job.stage is Stage.EVALUATION and job.run in untrained]


def describe(attempt: Attempt) -> str:
    """One line on an attempt that ended."""
    again = f" (attempt {attempt.number})" if attempt.number > 1 else ""
    if attempt.phase is Phase.DONE:
        return f"{attempt.job}{again}: done"
    kind = attempt.failure or FailureClass.ERROR
    return f"{attempt.job}{again}: {kind}: {attempt.reason or 'no reason is known'}"
