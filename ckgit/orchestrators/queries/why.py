"""why: one sentence for every job that failed or waits, and what its log says last."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError
from ckgit.experiment.classify import classify, newest
from ckgit.experiment.jobs import Attempt, FailureClass, Job
from ckgit.experiment.scheduler import JobState, JobStatus
from ckgit.experiment.stage import STAGES
from ckgit.formats.secret_patterns import masked
from ckgit.jobs.folder import job_folder, read_status
from ckgit.lab.branches import DeletedError
from ckgit.orchestrators.engine.logs import last_lines, readable, tail
from ckgit.orchestrators.engine.orphans import cancelled_first, way_back, with_its_jobs
from ckgit.orchestrators.engine.partial_view import PartialView
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.run.collect import without_status
from ckgit.orchestrators.run.continuation.job import is_alive, look_at
from ckgit.orchestrators.run.stage import stage_jobs
from ckgit.orchestrators.run.work_tree import find_work_tree

LINES = 8


class Reason(NamedTuple):
    """Why a job failed, waits or runs, and what to do."""

    job: str
    attempt: int  # 0 where it was never submitted
    phase: str  # of the ledger; or waiting
    failure: str | None
    reason: str  # one sentence
    log: str | None  # where the lines stand: a path of the branch, or an absolute path of the work tree
    lines: Sequence[str]


def why(found: PartialView) -> list[Reason]:
    """Every job that failed, was cancelled, is open, or waits to be submitted; in the order of the jobs.

    Raises:
        CkgitError: the branch cannot be read, or its design cannot and it has no jobs.
    """
    gone = next((problem for problem in found.problems if isinstance(problem, DeletedError)), None)
    if gone:
        raise with_its_jobs(found.lab, found.name, gone)
    if found.problem and not (found.ledger and found.ledger.attempts) and not found.orphans:
        raise found.problem
    out = bool(found.ledger and found.ledger.open())
    for problem in found.problems:
        problem.next = cancelled_first(found.name, problem.next, out=out)
    attempts = newest(found.ledger.attempts if found.ledger else ())
    jobs = stage_jobs(found.view).jobs if found.view and found.view.snapshot.standing in STAGES else []  # none where it is closed
    closed = [attempt for attempt in attempts.values() if classify(attempt).is_bad]
    open_ones = [attempt for attempt in attempts.values() if classify(attempt).is_open]
    waiting = [_unsubmitted(found, job) for job in jobs if job.name not in attempts]
    return [*(_ended(found, attempt) for attempt in closed), *_live(found, open_ones), *waiting, *_left(found), *_unknown(found)]


def _unknown(found: PartialView) -> list[Reason]:
    """Jobs that are not in the ledger of the branch."""
    advice = way_back(found.lab, found.name, found.orphans) if found.orphans else ""
    return [Reason(orphan.token, 1, f"{orphan.seen}, not in the ledger of the branch", None, advice, None, []) for orphan in found.orphans]


def _left(found: PartialView) -> list[Reason]:
    """The job that was to go on with the experiment, where it does not."""
    ledger = found.ledger
    if not ledger or not ledger.detached:
        return []
    try:
        work = find_work_tree(ledger)
    except CkgitError:
        return []  # what is said of the other jobs says it
    job_status = look_at(ledger.detached, found.cluster, work).statuses[ledger.detached.token]
    if is_alive(job_status) or job_status.state is JobState.UNKNOWN:
        return []
    how = job_status.ending.sentence if job_status.ending else "it is gone"
    ended = "was not handed over" if job_status.state is JobState.UNSEEN else f"has ended ({how})"
    sentence = f"the job that was to go on {ended}; ckgit advance {found.name} goes on, with --detach by another one"
    itself = ledger.detached.attempts[0]
    log, text = _work_tree_log(found, itself)
    return [Reason("advance", 1, "left", None, sentence, log, _last(text))]


def _ended(found: PartialView, attempt: Attempt) -> Reason:
    content = found.snapshot.read(attempt.log) if attempt.log and found.snapshot else None
    if content is not None:
        log, text = attempt.log, readable(content[-65_536:])
    else:
        log, text = _work_tree_log(found, attempt)
    sentence = attempt.reason or "no reason was recorded"
    if attempt.failure == FailureClass.ENVIRONMENT and found.snapshot and found.snapshot.standing in STAGES:
        sentence = f"{sentence}; where that is mended, ckgit retry {found.name}"
    return _reason(attempt, sentence, log, text)


def _live(found: PartialView, attempts: Sequence[Attempt]) -> list[Reason]:
    if not attempts or not found.ledger:
        return []
    cluster = found.cluster
    try:
        work = find_work_tree(found.ledger)
    except CkgitError as error:
        return [_reason(attempt, f"nothing can be said: {error.what}", None, "") for attempt in attempts]
    statuses = scheduler_for(cluster).poll(cluster, work, attempts).statuses
    return [
        _reason(attempt, _sentence(found, attempt, statuses[attempt.token], work), *_work_tree_log(found, attempt)) for attempt in attempts
    ]


def _sentence(found: PartialView, attempt: Attempt, job_status: JobStatus, work: Path) -> str:
    detail = f": {job_status.detail}" if job_status.detail else ""
    sentences = {
        JobState.UNSEEN: f"it is recorded and not handed over yet; ckgit advance {found.name} does that",
        JobState.QUEUED: f"it waits{detail}",
        JobState.RUNNING: f"it runs{detail}",
        JobState.UNKNOWN: f"nothing can be said now{detail}",
    }
    try:
        status = read_status(work, attempt.token)
    except ValueError as error:
        return str(error)
    except OSError as error:
        return f"nothing can be said now: its status cannot be read: {error.strerror}"
    if status and job_status.state not in (JobState.QUEUED, JobState.RUNNING):  # one that was queued again left a status before
        return f"it ended with exit code {status.exit_code}; ckgit advance {found.name} collects it"
    if job_status.state is JobState.GONE:
        return f"{without_status(work, attempt.token, job_status.ending)[1]}; ckgit advance {found.name} judges it"
    return sentences[job_status.state]


def _unsubmitted(found: PartialView, job: Job) -> Reason:
    first = "first the running jobs that are not in the ledger must end"
    sentence = f"it was not submitted yet; {first if found.orphans else f'ckgit advance {found.name} does that'}"
    return Reason(job.name, 0, "waiting", None, sentence, None, [])


def _work_tree_log(found: PartialView, attempt: Attempt) -> tuple[str | None, str]:
    """Path and end of what a job printed, where its work tree is on this machine."""
    if not found.ledger or not found.ledger.work_tree:
        return None, ""
    path = job_folder(Path(found.ledger.work_tree), attempt.token) / "output"
    return (os.fspath(path), tail(path)) if path.exists() else (None, "")


def _reason(attempt: Attempt, sentence: str, log: str | None, text: str) -> Reason:
    told = masked(sentence, os.environ)
    return Reason(attempt.job, attempt.number, str(attempt.phase), attempt.failure, told, log, _last(text))


def _last(text: str) -> list[str]:
    """The last lines of what a job printed. In its work tree nothing was masked."""
    return last_lines(masked(text, os.environ), LINES)
