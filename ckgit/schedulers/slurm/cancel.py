"""Ending jobs, those that squeue does not show yet among them, and no others."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.jobs import Attempt, Phase
from ckgit.jobs.cancellation import mark, unmarked
from ckgit.jobs.folder import job_folder
from ckgit.schedulers.slurm import commands, records
from ckgit.schedulers.slurm.call import call
from ckgit.schedulers.slurm.parsers import Answer, QueueRow, SbatchOutcome
from ckgit.schedulers.slurm.queries import NoAnswer, ask_queue
from ckgit.schedulers.slurm.states import is_over
from ckgit.schedulers.slurm.submit import handle_of, name_of

CANCEL_PATIENCE = 45.0  # seconds for jobs to leave the queue; SLURM's own KillWait is 30


def cancel(cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> None:
    """See `Scheduler.cancel`. Returns when they have left the queue, or some time after SLURM was told.

    Raises:
        CkgitError: SLURM did not take the order, or cannot be asked; or one that was not handed over cannot be kept from it.
    """
    # before the queue is asked: who hands a job over now looks for the mark afterwards
    marks = {attempt.token: mark(work, attempt.token) for attempt in attempts} if work.is_dir() else {}
    _end(cluster, work, attempts)
    if refused := {token: error for token, error in marks.items() if error and not _was_taken(work, token)}:
        raise unmarked(work, refused)


def check_cancel(cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> None:
    """See `Scheduler.check_cancel`.

    Raises:
        CkgitError: another user has handed one of them over, or SLURM cannot be asked now.
    """
    for attempt in attempts:
        folder = records.record_folder(work, attempt.token)
        try:
            user = records.other_user(folder)
        except OSError:
            continue  # it was not handed over, or its files are lost
        if user and not (job_folder(work, attempt.token) / "status.json").exists():
            raise CkgitError(
                f"job {attempt.token} is {user}'s, who has handed it over",
                code=Exit.COMMAND_FAILED,
                state="nothing was recorded, and nothing was ended",
                next=f"ckgit cancel {work.parent.name} as {user}",
            )
    _queue_or_error(cluster)


def _end(cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> None:
    tokens, words, nap = {attempt.token for attempt in attempts}, "", 0.2
    may_run = _may_run(work, attempts)
    told: set[str] = set()
    end = time.monotonic() + CANCEL_PATIENCE
    while time.monotonic() < end:
        rows = _queue_or_error(cluster)
        alive = {row.handle: row.state for row in rows if row.token in tokens and not is_over(row.state)}
        may_run = _unseen(may_run, rows)
        if not may_run and not alive:
            return
        if words and any(state != "COMPLETING" for state in alive.values()):
            raise _not_cancelled(words)
        for name, ids in may_run.items():
            # with a name, SLURM 22.05 takes a task of an array that waits for the whole array
            by_name = "" if any("_" in handle for handle in ids) else name
            call(cluster, commands.scancel(cluster, ids, name=by_name))  # that there is no such job is no error
        may_run, untold = {}, sorted(set(alive) - told)
        answer = call(cluster, commands.scancel(cluster, untold)) if untold else Answer(0, "", "")
        words = "" if answer.code == 0 else answer.words
        told |= set(untold)
        time.sleep(nap)
        nap = min(nap * 1.5, 3.0)


def _was_taken(work: Path, token: str) -> bool:
    """Whether SLURM took a job, which is then ended there."""
    record = records.read_record(records.record_folder(work, token))
    accepted = record is not None and record.verdict.outcome is SbatchOutcome.ACCEPTED
    return accepted or any((job_folder(work, token) / name).exists() for name in ("claim", "status.json"))


def _may_run(work: Path, attempts: Sequence[Attempt]) -> dict[str, list[str]]:
    """Ids of the jobs that have been accepted and are not known to have ended, by SLURM's name for them."""
    found: dict[str, list[str]] = {}
    for attempt in attempts:
        record = records.read_record(records.record_folder(work, attempt.token))
        ended = attempt.phase is not Phase.SUBMITTED or (job_folder(work, attempt.token) / "status.json").exists()
        if record and record.verdict.outcome is SbatchOutcome.ACCEPTED and not ended:
            found.setdefault(name_of(attempt.token), []).append(handle_of(attempt.token, record.verdict.job_id))
    return found


def _unseen(may_run: Mapping[str, Sequence[str]], rows: Sequence[QueueRow]) -> dict[str, list[str]]:
    """Those that squeue leaves out, as it may do with a job that sbatch has just handed over.

    What it shows is another matter: ids are used again, and a job of another name is none of ours.
    """
    seen = {number for row in rows for number in (row.id, row.array)}
    left = {name: [handle for handle in handles if handle.partition("_")[0] not in seen] for name, handles in may_run.items()}
    return {name: handles for name, handles in left.items() if handles}


def _queue_or_error(cluster: Cluster) -> list[QueueRow]:
    try:
        return ask_queue(cluster)
    except NoAnswer as why:
        raise CkgitError(
            f"squeue: {why}",
            code=Exit.UNKNOWN,
            state="jobs that were not handed over yet stay so; whether the others ended is not known",
            next="run the same command again later",
        ) from None


def _not_cancelled(words: str) -> CkgitError:
    return CkgitError(
        f"scancel: {words}",
        code=Exit.COMMAND_FAILED,
        state="some of the jobs are still in the queue",
        next="squeue --me shows them; run the same command again later, or as the user whose jobs they are",
    )
