"""why: one sentence for every job that failed or waits, and what its log says last."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.experiment.errors import CkgitError
from ckgit.experiment.jobs import Attempt, Job, Phase
from ckgit.experiment.worker import Seen, Sighting
from ckgit.orchestrators.attempts import latest_attempts
from ckgit.orchestrators.collect import job_files, read_status
from ckgit.orchestrators.detach import attempts_of, is_alive, look_at
from ckgit.orchestrators.logs import last_lines, readable, tail
from ckgit.orchestrators.place import misled
from ckgit.orchestrators.plugins import scheduler_for
from ckgit.orchestrators.stagework import STAGES, stagework
from ckgit.orchestrators.standing import Standing
from ckgit.orchestrators.worktree import find_work_tree

LINES = 8


class Reason(NamedTuple):
    """What is to be said of a job."""

    job: str
    attempt: int  # 0 where it was never submitted
    phase: str  # of the ledger; or waiting
    failure: str | None
    sentence: str
    log: str | None  # where the lines stand: a path of the branch, or an absolute path of the work tree
    lines: Sequence[str]


def why(standing: Standing) -> list[Reason]:
    """Every job that failed, was cancelled, is open, or waits to be submitted; in the order of the jobs."""
    attempts = latest_attempts(standing.ledger)
    state = standing.snapshot.state
    jobs = stagework(standing).jobs if state in STAGES else []
    closed = [a for a in attempts.values() if a.phase in (Phase.FAILED, Phase.CANCELLED)]
    open_ones = [a for a in attempts.values() if a.phase is Phase.SUBMITTED]
    waiting = [_unsubmitted(standing, job) for job in jobs if job.name not in attempts]
    return [*(_ended(standing, attempt) for attempt in closed), *_live(standing, open_ones), *waiting, *_left(standing)]


def _left(standing: Standing) -> list[Reason]:
    """The job that was to go on with the experiment, where it does not."""
    ledger = standing.ledger
    if not ledger or not ledger.detached:
        return []
    try:
        work = find_work_tree(ledger)
    except CkgitError:
        return []  # what is said of the other jobs says it
    sighting = look_at(ledger.detached, standing.context.cluster, work).sightings[ledger.detached.token]
    if is_alive(sighting) or sighting.seen is Seen.UNKNOWN:
        return []
    how = sighting.ending.sentence if sighting.ending else "it is gone"
    ended = "was not handed over" if sighting.seen is Seen.UNSEEN else f"has ended ({how})"
    sentence = f"the job that was to go on {ended}; ckgit advance {standing.name} goes on, with --detach by another one"
    itself = attempts_of(ledger.detached)[0]
    log, text = _work_tree_log(standing, itself)
    return [Reason("advance", 1, "left", None, sentence, log, last_lines(text, LINES))]


def _ended(standing: Standing, attempt: Attempt) -> Reason:
    content = standing.snapshot.read(attempt.log) if attempt.log else None
    if content is not None:
        log, text = attempt.log, readable(content[-65_536:])
    else:
        log, text = _work_tree_log(standing, attempt)
    return _reason(attempt, attempt.reason or "no reason was recorded", log, text)


def _live(standing: Standing, attempts: Sequence[Attempt]) -> list[Reason]:
    if not attempts or not standing.ledger:
        return []
    cluster = standing.context.cluster
    try:
        work = find_work_tree(standing.ledger)
    except CkgitError as error:
        return [_reason(attempt, f"nothing can be said: {error.what}", None, "") for attempt in attempts]
    if what := misled(standing):
        return [_reason(attempt, f"nothing can be said: the cluster profile points elsewhere: {what}", None, "") for attempt in attempts]
    sightings = scheduler_for(cluster).poll(cluster, work, attempts).sightings
    return [
        _reason(attempt, _sentence(standing, attempt, sightings[attempt.token], work), *_work_tree_log(standing, attempt))
        for attempt in attempts
    ]


def _sentence(standing: Standing, attempt: Attempt, sighting: Sighting, work: Path) -> str:
    detail = f": {sighting.detail}" if sighting.detail else ""
    sentences = {
        Seen.UNSEEN: f"it is recorded and not handed over yet; ckgit advance {standing.name} does that",
        Seen.QUEUED: f"it waits{detail}",
        Seen.RUNNING: f"it runs{detail}",
        Seen.UNKNOWN: f"nothing can be said now{detail}",
        Seen.GONE: f"it is gone and left no status; ckgit advance {standing.name} judges it",
    }
    try:
        status = read_status(work, attempt.token)
    except ValueError as error:
        return str(error)
    except OSError as error:
        return f"nothing can be said now: its status cannot be read: {error.strerror}"
    if status and sighting.seen not in (Seen.QUEUED, Seen.RUNNING):  # one that was queued again left a status before
        return f"it ended with exit code {status.exit_code}; ckgit advance {standing.name} collects it"
    return sentences[sighting.seen]


def _unsubmitted(standing: Standing, job: Job) -> Reason:
    sentence = f"it was not submitted yet; ckgit advance {standing.name} does that"
    return Reason(job.name, 0, "waiting", None, sentence, None, [])


def _work_tree_log(standing: Standing, attempt: Attempt) -> tuple[str | None, str]:
    """Path and end of what a job printed, where its work tree is on this machine."""
    if not standing.ledger or not standing.ledger.work_tree:
        return None, ""
    path = job_files(Path(standing.ledger.work_tree), attempt.token) / "output"
    return (os.fspath(path), tail(path)) if path.exists() else (None, "")


def _reason(attempt: Attempt, sentence: str, log: str | None, text: str) -> Reason:
    return Reason(attempt.job, attempt.number, str(attempt.phase), attempt.failure, sentence, log, last_lines(text, LINES))
