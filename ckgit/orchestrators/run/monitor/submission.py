"""Which jobs go to the scheduler now: as many as the cluster takes, and an array whole. Pure, but for the look at the scripts' bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.experiment.jobs import Attempt, FailureClass, Job, task_of
from ckgit.experiment.scheduler import JobEnding, JobState, JobStatus, PollResult, Submission
from ckgit.jobs.folder import job_folder


class SubmissionPlan(NamedTuple):
    """What is handed over now, and what is known thereby of the others."""

    attempts: Sequence[Attempt]
    large: frozenset[str]  # tokens of those whose array is larger than the limit
    others: Mapping[str, JobStatus]  # by token: refused, or waiting for room
    limit: int | None = None  # jobs of this user at the same time

    def answered(self, answers: Mapping[str, JobStatus]) -> dict[str, JobStatus]:
        """Statuses of those that were handed over, as the scheduler has answered."""
        detail = f"its array is one submission, of more jobs than max_submit, {self.limit}"
        queued = {token: answers[token] for token in self.large if answers[token].state is JobState.QUEUED}
        return {**answers, **{token: status._replace(detail=detail) for token, status in queued.items()}}


NO_SUBMISSION = SubmissionPlan((), frozenset(), {})


class Queue(NamedTuple):
    """How much room there is at the scheduler."""

    poll: PollResult
    limit: int | None  # jobs of this user at the same time
    detached: int  # 1 where a job of ours may be in the queue that goes on with the experiment
    experiment: str


def plan_submission(attempts: Sequence[Attempt], queue: Queue, broken: Mapping[str, str]) -> SubmissionPlan:
    """Choose what to hand over. The others wait for their turn; an array goes whole, as one sbatch is one record.

    One that is larger than the limit, which was lowered since, goes when there is nothing else to wait for.

    Args:
        attempts: those that are certainly not with the scheduler.
        broken: why a job must not be handed over, by token.
    """
    limit, in_queue = queue.limit, queue.poll.in_queue
    room = len(attempts) if limit is None else max(limit - in_queue, 0)
    others: dict[str, JobStatus] = {}
    chosen: list[Attempt] = []
    large: list[str] = []
    for group in groups(attempts):
        too_large = limit is not None and limit < len(group)
        if refused := next((broken[attempt.token] for attempt in group if attempt.token in broken), ""):
            others |= {attempt.token: JobStatus(JobState.GONE, ending=JobEnding(FailureClass.REFUSED, refused)) for attempt in group}
        elif len(group) <= room or (too_large and in_queue <= queue.detached and not chosen):
            room -= len(group)
            chosen += group
            large += [attempt.token for attempt in group if too_large]
        else:
            others |= {attempt.token: JobStatus(JobState.UNSEEN, detail=_waits_for(len(group), queue)) for attempt in group}
    return SubmissionPlan(chosen, frozenset(large), others, limit)


def _waits_for(tasks: int, queue: Queue) -> str:
    """Why a job, or an array of so many, is not handed over now."""
    limit, look = queue.limit or 0, queue.poll
    full = f"{look.in_queue} jobs are in the queue, and max_submit is {limit}"
    if tasks == 1:
        return full
    mine = sum(status.state in {JobState.QUEUED, JobState.RUNNING} for status in look.statuses.values())
    others = look.in_queue - mine
    until = "until no other job is there" if limit < tasks else f"until there is room for {tasks}"
    text = f"its array of {tasks} waits {until}: {full}"
    if limit - others >= tasks or not others:
        return text
    name = queue.experiment
    way_out = f"if they stay, ckgit cancel {name} and ckgit retry {name} make its tasks jobs of their own"
    return f"{text}; {others} of them are not jobs of {name}: {way_out}"


def broken(work: Path, attempts: Sequence[Attempt], jobs: Mapping[str, Job]) -> dict[str, str]:
    """Why jobs must not be handed over, by token: the bytes that were committed as the intent are those that run."""
    return {attempt.token: why for attempt in attempts if (why := _broken(work / jobs[attempt.job].script, attempt.script_sha256))}


def _broken(script: Path, sha256: str) -> str:
    try:
        same = hashlib.sha256(script.read_bytes()).hexdigest() == sha256
    except OSError as error:
        return f"the job's script cannot be read: {error.strerror}"
    return "" if same else "the job's script in the work tree is not the one that was scaffolded"


def groups(attempts: Sequence[Attempt]) -> list[list[Attempt]]:
    """Attempts that are to be handed over together: the tasks of one array, or one alone."""
    found: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        found.setdefault(task.array if (task := task_of(attempt.token)) else attempt.token, []).append(attempt)
    return list(found.values())


def submission_of(work: Path, job: Job, attempt: Attempt) -> Submission:
    """How a scheduler is to be given an attempt."""
    output = (job_folder(work, attempt.token) / "output").relative_to(work)
    return Submission(attempt.token, job.script, str(output), attempt.resources or job.resources, changed=attempt.resources is not None)
