"""Judges an evaluation job that ended, and reads its result again from what was committed."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from ckgit.experiment.jobs import Attempt, FailureClass, Job
from ckgit.experiment.results import CellResult
from ckgit.experiment.worker import Context, Evidence
from ckgit.workers.inspect_ai.cells import Planned
from ckgit.workers.inspect_ai.codes import NOT_SUCCESS, TOKENS_DIFFER
from ckgit.workers.inspect_ai.evaluate import is_complete
from ckgit.workers.inspect_ai.logs import RefusedLogError, check_archive, read_cell
from ckgit.workers.inspect_ai.output import explain
from ckgit.workers.inspect_ai.ready import cells_of

TAIL = 20_000  # bytes of output in which the reason of a failure is looked for


def evidence(context: Context, job: Job, attempt: Attempt, work: Path) -> Evidence:
    """Judge a job whose status file is there; its exit code is in `attempt`. Its output is committed by whoever asks."""
    cells = cells_of(context, job)
    if attempt.exit_code != 0:
        failure, sentence = explain(_tail(work / ".ckgit" / "jobs" / attempt.token / "output"), attempt.exit_code)
        # these codes are given when all cells were tried: a log that does not say success is this attempt's
        unsuccessful = (NOT_SUCCESS, TOKENS_DIFFER)
        bad = [cell for cell in cells if not is_complete(work / cell.log)] if attempt.exit_code in unsuccessful else []
        return Evidence((), [sentence], failure, {path: log for cell in bad for path, log in _failed(cell, work).items()})
    judged = [_judge(cell, work) for cell in cells]
    if bad_ones := [each for each in judged if each.reasons]:
        reasons = [reason for each in bad_ones for reason in each.reasons]
        return Evidence((), reasons, bad_ones[0].failure, {path: log for each in bad_ones for path, log in each.files.items()})
    results = [result for each in judged for result in each.results]
    return Evidence(results, [], None, {path: log for each in judged for path, log in each.files.items()})


def _judge(cell: Planned, work: Path) -> Evidence:
    """Judge one cell of a job that ended well."""
    path = work / cell.log
    if not path.is_file():
        return Evidence((), [f"there is no log {cell.log}"], FailureClass.OUTPUT_MISSING, {})
    try:
        found = read_cell(cell, path)
        log = _small(cell, work)
    except RefusedLogError as error:
        return Evidence((), [str(error)], error.failure, _failed(cell, work))
    return Evidence([found], [], None, log or {_extract(cell): found.model_dump_json(indent=2).encode() + b"\n"})


def results(context: Context, job: Job, attempt: Attempt, files: Mapping[str, bytes]) -> list[CellResult]:
    """The result of each cell, from the committed log, or from its extract where the log was too large; none when neither is there.

    Raises:
        ValueError: it cannot be read, or is not of its cell.
    """
    del attempt  # the logs tell when they were made
    return [found for cell in cells_of(context, job) if (found := _result(cell, files))]


def _result(cell: Planned, files: Mapping[str, bytes]) -> CellResult | None:
    if _extract(cell) in files:  # a log beside it is of an attempt that failed
        return _from_extract(cell, files[_extract(cell)])
    if cell.log not in files:
        return None
    with tempfile.NamedTemporaryFile(suffix=".eval") as copy:
        copy.write(files[cell.log])
        copy.flush()
        return read_cell(cell, Path(copy.name))


def _from_extract(cell: Planned, content: bytes) -> CellResult:
    try:
        found = CellResult.model_validate_json(content)
    except ValidationError as error:
        raise ValueError(f"{_extract(cell)} cannot be read: {error.errors()[0]['msg']}") from None
    if (found.run, found.task, found.epoch, found.log) != (cell.run.name, cell.task.name, cell.cell.epoch, cell.log):
        raise ValueError(f"{_extract(cell)} is of {found.run} on {found.task}, and not of {cell.name}")
    return found


def _extract(cell: Planned) -> str:
    return cell.log.removesuffix(".eval") + ".json"


def _small(cell: Planned, work: Path) -> dict[str, bytes]:
    """The log, where it is not too large to be committed.

    Raises:
        RefusedLogError: it cannot be unpacked, and so not be searched for secrets either.
    """
    path = work / cell.log
    if path.stat().st_size > cell.context.max_log_bytes:
        return {}
    check_archive(path)
    return {cell.log: path.read_bytes()}


def _failed(cell: Planned, work: Path) -> dict[str, bytes]:
    """The log of a job that failed; or a note on it, where it has to stay in the work tree."""
    path = work / cell.log
    if not path.is_file():
        return {}
    try:
        if log := _small(cell, work):
            return log
        reason = f"it is larger than max_log_bytes ({cell.context.max_log_bytes})"
    except RefusedLogError as error:
        reason = str(error)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    note = {"not_committed": cell.log, "reason": reason, "bytes": path.stat().st_size, "sha256": digest}
    return {f"{cell.log}.json": json.dumps(note, indent=2).encode() + b"\n"}


def _tail(output: Path) -> str:
    try:
        with output.open("rb") as file:
            file.seek(max(0, output.stat().st_size - TAIL))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
