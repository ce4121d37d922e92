"""Judges a training job that ended: status, tokens, checkpoints, steps and losses, from the work tree's files."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from ckgit.experiment.design.plan import Run
from ckgit.experiment.jobs import Attempt, FailureClass, Job
from ckgit.experiment.results import MANIFEST, MANIFEST_OF, Checkpoint, LossPoint, TokenCheck, TokenRecord, TrainingResult, rows_digest
from ckgit.experiment.worker import Context, Evidence
from ckgit.jobs.folder import job_folder, read_status
from ckgit.workers.torchtune.config import LOG_NAME, artifacts
from ckgit.workers.torchtune.design.steps import planned_steps, train_rows
from ckgit.workers.torchtune.outputs import finished
from ckgit.workers.torchtune.outputs.checkpoint import epoch_folder, problems
from ckgit.workers.torchtune.outputs.explain import explain
from ckgit.workers.torchtune.outputs.finished import COLLECTED, RECORDS
from ckgit.workers.torchtune.outputs.logs import loss_points, read_bounded
from ckgit.workers.torchtune.outputs.resume import CONFIG, RESUMED
from ckgit.workers.torchtune.outputs.starts import STARTS, tokens

MOST_LOG = 50_000_000
TAIL = 20_000  # bytes of output in which the reason of a failure is looked for
T = TypeVar("T")


def evidence(context: Context, job: Job, attempt: Attempt, work: Path) -> Evidence:
    """Judge a job whose status file is there.

    One that wrote down its end (`finished`) had saved all: it is judged by that, whatever its exit code. torchrun says 1, for one, where a
    process is aborted while it ends, and it would be a night's training that is thrown away.
    """
    run = context.plan.run(job.run)
    output = read_bounded(job_folder(work, attempt.token) / "output")
    files = _files(context, run, work)
    try:
        status = read_status(work, attempt.token)
    except (OSError, ValueError) as error:
        return Evidence((), [str(error)], FailureClass.LOST, files)
    if not status:
        return Evidence((), ["the job left no status file"], FailureClass.LOST, files)
    if status.exit_code != 0 and not finished.is_of(work / artifacts(context, run), attempt.token):
        failure, sentence = explain((output or b"")[-TAIL:].decode(errors="replace"), status.exit_code)
        return Evidence((), [sentence], failure, files)
    ended = {"started": status.started, "ended": status.ended, "exit_code": status.exit_code, "job_id": status.job_id}
    judged = attempt.model_copy(update=ended)
    return _judge(context, job, judged, work, files)


def _judge(context: Context, job: Job, attempt: Attempt, work: Path, files: Mapping[str, bytes]) -> Evidence:
    run = context.plan.run(job.run)
    missing = list(_missing(context, run, work))
    if missing:
        return Evidence((), missing, FailureClass.OUTPUT_MISSING, files)
    try:
        found = result(context, job, attempt, files, config=read_bounded(work / context.run_folder(job.run) / CONFIG))
    except ValueError as error:
        return Evidence((), [str(error)], FailureClass.OUTPUT_MISSING, files)
    if found is None:
        return Evidence((), ["a record of the job is missing"], FailureClass.OUTPUT_MISSING, files)
    if diverged := next((point for point in found.losses if not math.isfinite(point.loss)), None):
        return Evidence((), [f"the loss is {diverged.loss} at step {diverged.step}; try a lower lr"], FailureClass.DIVERGED, files)
    setup = work / context.run_folder(job.run) / "setup_finetune.yaml"
    if replaced := list(finished.differences(work / artifacts(context, run), setup, attempt.token)):
        return Evidence((), replaced, FailureClass.INPUT_CHANGED, files)
    return Evidence([found], [], None, files, complete=True)


def _files(context: Context, run: Run, work: Path) -> dict[str, bytes]:
    """What is committed: the records, as far as they are there. What the job printed is the orchestrator's to commit."""
    folder, files = context.run_folder(run.name), {}
    for name in RECORDS:
        content = read_bounded(work / artifacts(context, run) / name, MOST_LOG)
        if content is not None:
            files[f"{folder}/{name}"] = content
    return files


def _missing(context: Context, run: Run, work: Path) -> Iterator[str]:
    place = work / artifacts(context, run)
    yield from (f"artifacts/{name} is missing" for name in COLLECTED if not (place / name).is_file())
    for epoch in range(run["epochs"]):
        yield from problems(epoch_folder(place, epoch), frozenset(context.cards[run.model].files))


def result(context: Context, job: Job, attempt: Attempt, files: Mapping[str, bytes], config: bytes | None = None) -> TrainingResult | None:
    """What training left, from its committed files; None when none of them is there.

    Args:
        config: what the attempt was to train with. The branch has that of the latest cluster, which may be another one.

    Raises:
        ValueError: some are missing, cannot be read, or are not of the training that was planned.
    """
    run, folder = context.plan.run(job.run), context.run_folder(job.run)
    present = {name: files[f"{folder}/{name}"] for name in COLLECTED if f"{folder}/{name}" in files}
    if not present:
        return None
    if lacking := [name for name in COLLECTED if name not in present]:
        raise ValueError(f"run {run.name}: {', '.join(lacking)} is missing")
    losses = loss_points(io.BytesIO(present[LOG_NAME]))
    steps = _steps(context, run, losses)
    return TrainingResult(
        run=run.name,
        steps=steps,
        final_loss=losses[-1].loss,
        seconds=attempt.seconds,
        losses=tuple(losses),
        checkpoints=_checkpoints(run, present[MANIFEST]),
        tokens=_tokens(context, run, present["tokens.json"]),
        versions=_read(run, "versions.json", TypeAdapter(dict[str, str]), present["versions.json"]),
        resumed=_read(run, RESUMED, TypeAdapter(tuple[int, ...]), files.get(f"{folder}/{RESUMED}", b"[]")),
        starts=_starts(run, attempt, files.get(f"{folder}/{STARTS}"), config),
    )


def _starts(run: Run, attempt: Attempt, content: bytes | None, config: bytes | None) -> tuple[str, ...]:
    """Which jobs made the training; none where it is an older one, which wrote nothing of that."""
    try:
        return () if content is None else tokens(content, attempt.token, config)
    except ValueError as error:
        raise ValueError(f"run {run.name}: {error}") from None


def _steps(context: Context, run: Run, losses: Sequence[LossPoint]) -> int:
    """Optimizer steps of the training; the log must show all that were planned."""
    if not losses:
        raise ValueError(f"run {run.name}: {LOG_NAME} holds no loss")
    planned, every = planned_steps(context, run), run["log_every_n_steps"]
    if planned is None:
        return losses[-1].step
    expected = list(range(every, planned + 1, every))
    if [point.step for point in losses] != expected:
        raise ValueError(
            f"run {run.name}: {LOG_NAME} shows {len(losses)} losses up to step {losses[-1].step}; "
            f"{len(expected)} up to step {expected[-1] if expected else 0} were planned"
        )
    return planned


def _checkpoints(run: Run, content: bytes) -> tuple[Checkpoint, ...]:
    found = _read(run, MANIFEST, MANIFEST_OF, content)
    epochs = [checkpoint.epoch for checkpoint in found]
    if epochs != list(range(run["epochs"])):
        raise ValueError(f"run {run.name}: {MANIFEST} lists epochs {epochs}; 0 to {run['epochs'] - 1} were planned")
    return found


def _tokens(context: Context, run: Run, content: bytes) -> dict[str, TokenCheck]:
    checks: dict[str, TokenRecord] = _read(run, "tokens.json", TypeAdapter(dict[str, TokenRecord]), content)
    rows = train_rows(context, run)
    if "train" not in checks or (rows and not checks["train"].rows):
        raise ValueError(f"run {run.name}: tokens.json does not say that training rows were compared")
    for name, check in checks.items():
        if check.by_row_sha256 and (len(check.by_row), rows_digest(check.by_row)) != (check.rows, check.by_row_sha256):
            raise ValueError(f"run {run.name}: of the rows of {name}, tokens.json lists other digests than those that it sums up")
    return {name: TokenCheck(**check.model_dump(exclude={"by_row"})) for name, check in checks.items()}


def _read(run: Run, name: str, adapter: TypeAdapter[T], content: bytes) -> T:
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"run {run.name}: {name} cannot be read: {first['msg']}") from None
