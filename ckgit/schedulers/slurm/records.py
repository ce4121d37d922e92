"""What lies in a work tree about the handing over of a job: who calls sbatch, and what came of it.

Whoever calls sbatch for a token has made `handed.N` before, which only one process can. The file is locked as long as
that process, or the sbatch that it started, lives. `answer.N` says what came of it. Where there is none, or an ambiguous
one, the job may have been accepted; `handed.N+1` may follow only after `answer.N` says that nothing came of it.

    .ckgit/jobs/TOKEN/      claim/ status.json output   by the job itself
                            begun handed.N answer.N absent cancelled
    .ckgit/arrays/ARRAY/    begun handed.N answer.N script
    .ckgit/handed           dated by the last hand-over, where there is to be time between two
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import re
import secrets
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from ckgit.experiment.jobs import task_of
from ckgit.formats.plain_json import read_json, read_unique
from ckgit.jobs.folder import job_folder, owner_of_folder
from ckgit.schedulers.slurm.parsers import SbatchOutcome, SbatchVerdict

_NO_LOCKS = 90.0  # seconds after which a hand-over is over, on a file system that knows no locks


class HandoverRecord(NamedTuple):
    """The latest hand-over of a job or an array."""

    number: int
    verdict: SbatchVerdict  # AMBIGUOUS where there is no answer
    busy: bool = False  # whether sbatch may still be running


class Handover(NamedTuple):
    """A hand-over that this process makes."""

    path: Path
    nonce: str
    lock: int  # descriptor, for sbatch to inherit


class FolderTraces(NamedTuple):
    """What lies in a job's folder."""

    record: HandoverRecord | None = None
    claimed: bool = False
    claim_id: str | None = None  # the job that runs, or ran, under this token
    exit_code: int | None = None
    ended: bool = False  # whether there is a status file
    printed: bool = False
    cancelled: bool = False
    absent: float | None = None  # seconds since it was first missed
    lost: bool = False  # whether there was a hand-over of which the record is lost
    user: str = ""  # another user, who has handed it over; empty where that is this one


def record_folder(work: Path, token: str) -> Path:
    """The folder of the record by which a job was handed over, alone or in its array."""
    task = task_of(token)
    return array_folder(work, task.array) if task else job_folder(work, token)


def other_user(folder: Path) -> str:
    """Who owns the folder of a record, where that is another user: only they see their jobs in the queue, and can end them.

    Raises:
        OSError: it cannot be told.
    """
    return owner_of_folder(folder) if os.geteuid() not in (0, folder.stat().st_uid) else ""


def array_folder(work: Path, array: str) -> Path:
    """The folder of an array's files."""
    return work / ".ckgit" / "arrays" / array


def read_traces(folder: Path, record: HandoverRecord | None) -> FolderTraces:
    """What a job's folder tells. The order matters: a job only ever adds files.

    Raises:
        OSError: it cannot be read.
    """
    try:
        names = frozenset(path.name for path in folder.iterdir())  # one look, as file systems of clusters are slow
    except FileNotFoundError:
        return FolderTraces(record)
    return FolderTraces(
        record,
        claimed="claim" in names,
        claim_id=_claim_id(folder) if "claim" in names else None,
        exit_code=_exit_code(folder) if "status.json" in names else None,
        ended="status.json" in names,
        printed="output" in names,
        cancelled="cancelled" in names,
        absent=_age(folder / "absent") if "absent" in names else None,
    )


def read_record(folder: Path) -> HandoverRecord | None:
    """The latest hand-over, or None when there was none.

    Raises:
        OSError: it cannot be read.
    """
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return None
    number = max((int(match[1]) for name in names if (match := re.fullmatch(r"handed\.([0-9]{1,4})", name))), default=0)
    if not number:
        return None
    path = folder / f"handed.{number}"
    try:
        busy, nonce = _is_busy(path), path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None  # taken back at this moment
    return HandoverRecord(
        number, _read_answer(path, nonce) or SbatchVerdict(SbatchOutcome.AMBIGUOUS, words="sbatch has not answered"), busy
    )


def take(folder: Path, number: int) -> Handover | None:
    """Become the one who calls sbatch; None when another is.

    The file appears whole and locked: it is linked to its name when both are done.

    Raises:
        OSError: it cannot be written; nothing was handed over.
    """
    nonce = secrets.token_hex(8)
    path, part = folder / f"handed.{number}", folder / f"handed.{nonce}.part"
    lock = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        with contextlib.suppress(OSError):  # a file system without locks has the time instead
            fcntl.flock(lock, fcntl.LOCK_EX)
        os.write(lock, nonce.encode())
        os.link(part, path)
        os.fsync(lock)
    except BaseException as error:
        os.close(lock)
        if isinstance(error, FileExistsError):
            return None
        raise
    finally:
        part.unlink(missing_ok=True)
    return Handover(path, nonce, lock)


def take_back(handing: Handover) -> None:
    """Undo a hand-over of which certainly nothing came."""
    handing.path.unlink()


def release(handing: Handover) -> None:
    """Let others know that sbatch does not run any more."""
    os.close(handing.lock)


def write_answer(path: Path, nonce: str, verdict: SbatchVerdict) -> None:
    """Leave what came of the hand-over at `path`, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(f"{_answer_of(path).name}.{secrets.token_hex(4)}.part")
    part.write_text(json.dumps({"nonce": nonce, **verdict._asdict()}), encoding="utf-8")
    part.replace(_answer_of(path))


def settle(folder: Path, record: HandoverRecord, verdict: SbatchVerdict) -> None:
    """Note what turned out of a hand-over that was ambiguous. A read-only work tree says the same again later."""
    path = folder / f"handed.{record.number}"
    with contextlib.suppress(OSError):
        write_answer(path, path.read_text(encoding="utf-8"), verdict)


def note_absent(folder: Path) -> float:
    """Seconds since a job was first missed; from now on, if it was not missed before. Other processes know it, too."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(folder / "absent", os.O_CREAT | os.O_EXCL, 0o644))
    return _age(folder / "absent") or 0.0


def forget_absent(folder: Path) -> None:
    """Take back the note that the queue lacks a job: it has it, or nobody can tell now."""
    with contextlib.suppress(OSError):
        (folder / "absent").unlink(missing_ok=True)


def note_handed(work: Path) -> None:
    """A job was handed over now, out of this work tree."""
    with contextlib.suppress(OSError):
        (work / ".ckgit" / "handed").touch()


def since_handed(work: Path) -> float:
    """Seconds since the last hand-over that was noted."""
    age = _age(work / ".ckgit" / "handed")
    return math.inf if age is None else age


def _answer_of(path: Path) -> Path:
    return path.with_name(path.name.replace("handed", "answer"))


def _read_answer(path: Path, nonce: str) -> SbatchVerdict | None:
    """None where there is no answer to this very hand-over."""
    try:
        found = read_json(_answer_of(path).read_text(encoding="utf-8"))
        return (
            SbatchVerdict(SbatchOutcome(found["outcome"]), str(found["job_id"]), str(found["words"])) if found["nonce"] == nonce else None
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _is_busy(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return (_age(path) or 0.0) < _NO_LOCKS
    finally:
        os.close(descriptor)
    return False


def _claim_id(folder: Path) -> str | None:
    try:
        return (folder / "claim" / "id").read_text(encoding="utf-8", errors="replace").strip() or None
    except FileNotFoundError:
        return None


def _exit_code(folder: Path) -> int | None:
    try:
        code = read_unique((folder / "status.json").read_bytes())["exit_code"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return code if isinstance(code, int) else None


def _age(path: Path) -> float | None:
    """Seconds since a file was made, by the clock that dated it: a file server's may be minutes behind this machine's."""
    try:
        made = path.stat().st_mtime
    except FileNotFoundError:
        return None
    try:
        with tempfile.TemporaryFile(dir=path.parent) as new:
            now = os.fstat(new.fileno()).st_mtime
    except OSError:  # a read-only work tree
        now = time.time()
    return max(0.0, now - made)
