"""Attempts at jobs: which are needed, and what is known of those that were made. Pure, apart from the tokens' chance."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from ckgit.experiment.classify import JobCondition, classify, newest
from ckgit.experiment.design.model import Resources, Stage
from ckgit.experiment.jobs import ARRAY_END, Attempt, Batch, Detached, FailureClass, Job, Phase, task_of
from ckgit.formats.listing import plural
from ckgit.orchestrators.engine.options import AdvanceOptions

_TOKEN_HEAD = 80  # characters; the whole token stays under 100, which every scheduler takes as a job name


def new_token(experiment: str, job: str, number: int) -> str:
    """A name that no other attempt of any experiment has."""
    return f"{_head(experiment, job, number)}{secrets.token_hex(4)}"


def _head(experiment: str, job: str, number: int) -> str:
    head = f"ckgit.{experiment}.{job.replace('/', '.')}"[:_TOKEN_HEAD].rstrip(".")
    return f"{head}.{number}."


def is_token_of(token: str, experiment: str, job: str, number: int) -> bool:
    """Whether an attempt may have that name: one of its own, or that of a task of the experiment's arrays."""
    head = f"ckgit.{experiment}." if task_of(token) else _head(experiment, job, number)
    return token.startswith(head)


def detached_of(experiment: str, options: AdvanceOptions, before: Detached | None, time: str) -> Detached | None:
    """The intent to have a job go on with an experiment; none where it is not left.

    Args:
        before: what the ledger names until now. A job that names the next one goes on for whoever left the experiment to it.
    """
    leave, token = options.continuation, options.token
    if not leave:
        return None
    left_by = before.left_by if token and before else options.left_by
    new = new_token(experiment, "advance", 1)
    return Detached(token=new, by=token or "", left_by=left_by, submitted=time, **leave._asdict())


def chance(token: str) -> str:
    """What of a token is drawn anew each time."""
    task = task_of(token)
    return (task.array.removesuffix(ARRAY_END) if task else token).rpartition(".")[2]


def new_attempts(experiment: str, jobs: Sequence[Job], scripts: Mapping[str, bytes], options: AttemptOptions) -> list[Attempt]:
    """The intent to run jobs, to be committed before they are handed over.

    Args:
        scripts: bytes of each job's script, by path.
        options: what is common to them.
    """
    tokens = _array_tokens(experiment, jobs, options) if options.array_size > 1 else {}
    return [
        Attempt(
            job=job.name,
            stage=job.stage,
            number=(number := _number(options, job)),
            token=tokens.get(job.name) or new_token(experiment, job.name, number),
            script_sha256=hashlib.sha256(scripts[job.script]).hexdigest(),
            phase=Phase.SUBMITTED,
            submitted=options.time,
            resources=options.resources.get(job.name),
            batch=options.batches.get(job.name),
        )
        for job in jobs
    ]


class AttemptOptions(NamedTuple):
    """What the attempts of one submission have in common."""

    time: str  # ISO 8601, UTC
    before: Mapping[str, Attempt]  # the latest attempt of each job
    array_size: int = 1  # most tasks of an array; 1 for none
    resources: Mapping[str, Resources] = {}  # by job, where they are not the design's
    batches: Mapping[str, Batch] = {}  # likewise
    files: Mapping[str, bytes] = {}  # rendered anew for them, by path
    notes: Sequence[str] = ()  # what is to be said of that


def _number(options: AttemptOptions, job: Job) -> int:
    return options.before[job.name].number + 1 if job.name in options.before else 1


def _array_tokens(experiment: str, jobs: Sequence[Job], options: AttemptOptions) -> dict[str, str]:
    """Tokens of jobs that are submitted as arrays: first tries with equal resources, by job. One alone needs no array."""
    alike: dict[tuple[Stage, Resources], list[Job]] = {}
    for job in jobs:
        if job.name not in options.before:
            alike.setdefault((job.stage, job.resources), []).append(job)
    tokens: dict[str, str] = {}
    for (stage, _), members in alike.items():
        for start in range(0, len(members), options.array_size):
            part = members[start : start + options.array_size]
            array = f"ckgit.{experiment}.{stage}.{secrets.token_hex(4)}{ARRAY_END}"
            tokens |= {job.name: f"{array}_{index}" for index, job in enumerate(part)} if len(part) > 1 else {}
    return tokens


class JobCounts(NamedTuple):
    """The jobs of a stage by where their latest attempt stands."""

    unsubmitted: Sequence[Job]
    open: Sequence[Attempt]
    done: Sequence[Attempt]
    failed: Sequence[Attempt]  # and cancelled, and lost

    @property
    def total(self) -> int:
        """How many jobs there are."""
        return len(self.unsubmitted) + len(self.open) + len(self.done) + len(self.failed)

    def ended_badly(self, noun: str = "job") -> str:
        """`2 of 5 jobs failed`, `1 of 5 jobs were cancelled`, or `2 of 5 jobs failed, 1 was cancelled`."""
        cancelled = sum(classify(attempt) is JobCondition.CANCELLED for attempt in self.failed)
        failed, of = len(self.failed) - cancelled, plural(self.total, noun)
        if not failed:
            return f"{cancelled} of {of} were cancelled"
        return f"{failed} of {of} failed" + (f", {cancelled} {'was' if cancelled == 1 else 'were'} cancelled" if cancelled else "")


def count_jobs(attempts: Sequence[Attempt], jobs: Sequence[Job]) -> JobCounts:
    """Sort jobs by their latest attempt."""
    latest = newest(attempts)
    tries = [(attempt, classify(attempt)) for job in jobs if (attempt := latest.get(job.name))]
    return JobCounts(
        unsubmitted=[job for job in jobs if job.name not in latest],
        open=[attempt for attempt, condition in tries if condition.is_open],
        done=[attempt for attempt, condition in tries if condition is JobCondition.DONE],
        failed=[attempt for attempt, condition in tries if condition.is_bad],
    )


def passed_over(jobs: Iterable[Job], attempts: Iterable[Attempt], accepted: Collection[str]) -> list[Job]:
    """Evaluations that cannot be made, because the training of their run was passed over by --accept-missing.

    Args:
        accepted: names of the jobs that were.
    """
    untrained = {attempt.job.partition("/")[0] for attempt in attempts if attempt.stage is Stage.TRAINING and attempt.job in accepted}
    return [job for job in jobs if job.stage is Stage.EVALUATION and job.run in untrained]


def describe(attempt: Attempt) -> str:
    """One line on an attempt that ended."""
    again = f" (attempt {attempt.number})" if attempt.number > 1 else ""
    if classify(attempt) is JobCondition.DONE:
        return f"{attempt.job}{again}: done"
    kind = attempt.failure or FailureClass.ERROR
    return f"{attempt.job}{again}: {kind}: {attempt.reason or 'no reason is known'}"


def describe_missing(attempt: Attempt, cells: Mapping[str, str]) -> list[str]:
    """A line on a failed attempt that is passed over, or on each of its cells that does not count.

    Args:
        cells: of its job, see `Ledger.cells`; none where they were not judged one by one.
    """
    return [f"{attempt.job}: {cell}: {why}" for cell, why in cells.items() if why] or [describe(attempt)]
