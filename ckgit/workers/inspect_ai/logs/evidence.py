"""Judges an evaluation job that ended, and reads its result again from what was committed."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ckgit.experiment.jobs import Attempt, FailureClass, Job
from ckgit.experiment.results import MANIFEST, CellResult, TokenRecord
from ckgit.experiment.worker import Context, Evidence
from ckgit.formats.listing import in_words
from ckgit.jobs.folder import job_folder
from ckgit.workers.inspect_ai import prompts, weights
from ckgit.workers.inspect_ai.cells import PlannedCell
from ckgit.workers.inspect_ai.codes import NOT_SUCCESS, TOKENS_DIFFER, RefusedLogError
from ckgit.workers.inspect_ai.logs.archive import unpack
from ckgit.workers.inspect_ai.logs.file import check_archive
from ckgit.workers.inspect_ai.logs.output import explain
from ckgit.workers.inspect_ai.logs.reader import read_cell
from ckgit.workers.inspect_ai.ready import cells_of

TAIL = 20_000  # bytes of output in which the reason of a failure is looked for
TOKENS = "tokens.json"  # what training recorded of the rows that are asked
_TRIED = (NOT_SUCCESS, TOKENS_DIFFER)  # codes that are given when every cell was tried, and a log of each is this attempt's
_NAMED = 5  # cells that a reason names


def evidence(context: Context, job: Job, attempt: Attempt, work: Path) -> Evidence:
    """Judge a job whose status file is there; its exit code is in `attempt`. Its output is committed by whoever asks.

    Each cell is judged by itself: one whose log is complete counts, whatever became of the others.
    """
    judged = {cell.cell.name: _judge(cell, work) for cell in cells_of(context, job)}
    refused = {name: each for name, each in judged.items() if each.reasons}
    failure = next((each.failure for each in refused.values()), None)
    if attempt.exit_code:
        failure, sentence = explain(_tail(job_folder(work, attempt.token) / "output"), attempt.exit_code)
        if not refused:
            return Evidence((), [sentence], failure, {})
        refused = {name: _of_this_attempt(each, attempt, sentence, alone=len(judged) == 1) for name, each in refused.items()}
    each_cell = {**judged, **refused}
    cells = {name: "; ".join(each.reasons) for name, each in each_cell.items()} if refused and len(judged) > 1 else {}
    results = [result for each in each_cell.values() for result in each.results]
    files = {path: content for each in each_cell.values() for path, content in each.files.items()}
    return Evidence(results or (), _reasons(refused, alone=len(judged) == 1), failure, files, cells)


def _of_this_attempt(refused: Evidence, attempt: Attempt, sentence: str, *, alone: bool) -> Evidence:
    """Why a cell of a job that failed does not count: its log tells where the job came to its end, otherwise the job does."""
    if attempt.exit_code in _TRIED:
        return refused._replace(reasons=[sentence]) if alone else refused
    return refused._replace(reasons=[sentence], files={})  # a log that is there is of an earlier attempt, or cut short


def _reasons(refused: Mapping[str, Evidence], *, alone: bool) -> list[str]:
    """The reasons, each with the cells that it is about where the job has several."""
    reasons: dict[str, list[str]] = {}
    for name, each in refused.items():
        reasons.setdefault(each.reasons[0], []).append(name)
    return [why if alone else f"{in_words(names, _NAMED)}: {why}" for why, names in reasons.items()]


def _judge(cell: PlannedCell, work: Path) -> Evidence:
    """Judge one cell by its log."""
    path = work / cell.log
    if not path.is_file():
        return Evidence((), [f"there is no log {cell.log}"], FailureClass.OUTPUT_MISSING, {})
    left = prompts.manifest(cell, work)
    try:
        cell = prompts.with_prepared(cell, left)
    except ValueError as error:
        return Evidence((), [str(error)], FailureClass.INPUT_CHANGED, {})
    try:
        saw = work / cell.context.artifacts(cell.run.name) / TOKENS
        seen = _seen(cell, saw.read_bytes() if saw.is_file() else None)
        found = weights.check(cell, read_cell(cell, path, marked=_tells(work / cell.config), seen=seen), left)
    except RefusedLogError as error:
        return Evidence((), [str(error)], error.failure, _failed(cell, work))
    if log := _small(cell, work):
        return Evidence([found], [], None, log)
    found = found.model_copy(update={"log_bytes": path.stat().st_size, "max_log_bytes": cell.context.max_log_bytes})
    return Evidence([found], [], None, {extract_of(cell): found.model_dump_json(indent=2).encode() + b"\n"})


def _tells(config: Path) -> bool:
    """Whether a cell's run config has inspect write down what it evaluates: those of an older ckgit do not."""
    import yaml  # as inspect reads it

    try:
        document = yaml.safe_load(config.read_bytes())
    except (FileNotFoundError, yaml.YAMLError):
        return True
    return not isinstance(document, dict) or "metadata" in document


def results(context: Context, job: Job, attempt: Attempt, files: Mapping[str, bytes]) -> list[CellResult]:
    """The result of each cell, from the committed log, or from its extract where the log was too large; none when neither is there.

    Raises:
        ValueError: it cannot be read, or is not of its cell.
    """
    manifest = files.get(f"{context.run_folder(job.run)}/{MANIFEST}")
    count = [prompts.with_prepared(cell, manifest) for cell in cells_of(context, job) if not attempt.cells.get(cell.cell.name)]
    return [weights.check(cell, found, manifest) for cell in count if (found := _result(cell, files))]


def _result(cell: PlannedCell, files: Mapping[str, bytes]) -> CellResult | None:
    if extract_of(cell) in files:  # a log beside it is of an attempt that failed
        return _from_extract(cell, files[extract_of(cell)])
    if cell.log not in files:
        return None
    with tempfile.NamedTemporaryFile(suffix=".eval") as copy:
        unpack(files[cell.log], copy.file)
        # it was judged when it was collected, maybe by an older ckgit, and is as ckgit left it
        seen = _seen(cell, files.get(f"{cell.context.run_folder(cell.run.name)}/{TOKENS}"))
        found = read_cell(cell, Path(copy.name), marked=False, seen=seen)
    return found.model_copy(update={"log_sha256": hashlib.sha256(files[cell.log]).hexdigest()})


def _seen(cell: PlannedCell, content: bytes | None) -> TokenRecord | None:
    """What training recorded of a task's rows; None where it did not, or not as they are asked now, or has a file of its own for it."""
    if content is None or not (cell.has_own_weights and cell.compared_before):
        return None
    try:
        return TypeAdapter(dict[str, TokenRecord]).validate_json(content).get(cell.task.name)
    except ValidationError:
        return None


def _from_extract(cell: PlannedCell, content: bytes) -> CellResult:
    try:
        found = CellResult.model_validate_json(content)
    except ValidationError as error:
        raise ValueError(f"{extract_of(cell)} cannot be read: {error.errors()[0]['msg']}") from None
    of_cell = (cell.run.name, cell.task.name, cell.cell.epoch, cell.cell.named, cell.log)
    if (found.run, found.task, found.epoch, found.checkpoint, found.log) != of_cell:
        raise ValueError(f"{extract_of(cell)} is of {found.run} on {found.task}, and not of {cell.name}")
    return found


def extract_of(cell: PlannedCell) -> str:
    """What is committed of a log that was too large."""
    return cell.log.removesuffix(".eval") + ".json"


def _small(cell: PlannedCell, work: Path) -> dict[str, bytes]:
    """The log, where it is not too large to be committed."""
    path = work / cell.log
    return {} if path.stat().st_size > cell.context.max_log_bytes else {cell.log: path.read_bytes()}


def _failed(cell: PlannedCell, work: Path) -> dict[str, bytes]:
    """A log that does not count; or a note on it, where it has to stay in the work tree."""
    path = work / cell.log
    try:
        if log := _small(cell, work):
            check_archive(path)  # what cannot be unpacked cannot be searched for secrets
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
