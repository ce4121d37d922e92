"""Judges a training job that ended: status, tokens, checkpoints and losses, from the work tree's files; a trainer says what is its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError

from ckgit.experiment.design.plan import Run
from ckgit.experiment.jobs import Attempt, FailureClass, Job
from ckgit.experiment.results import MANIFEST, MANIFEST_OF, Checkpoint, TokenCheck, TokenRecord, TrainingResult, rows_digest
from ckgit.experiment.worker import Context, Evidence
from ckgit.jobs.folder import job_folder, read_status
from ckgit.workers.training.design.counted import train_rows
from ckgit.workers.training.outputs import finished
from ckgit.workers.training.outputs.checkpoint import problems
from ckgit.workers.training.outputs.explain import explain
from ckgit.workers.training.outputs.logs import read_bounded
from ckgit.workers.training.outputs.starts import STARTS, tokens
from ckgit.workers.training.scaffold import artifacts

CONFIG = "finetune.yaml"
MOST_LOG = 50_000_000
TAIL = 20_000  # bytes of output in which the reason of a failure is looked for
T = TypeVar("T")


class Trainer(NamedTuple):
    """What is a trainer's own in what its jobs leave."""

    log: str  # the file with the losses
    further: Sequence[str]  # records that a training may have
    told: Callable[[Context, Run, Mapping[str, bytes]], Mapping[str, Any]]  # fields of the result that these files say; or ValueError

    @property
    def collected(self) -> tuple[str, ...]:
        """Records that every training has."""
        return (self.log, "tokens.json", MANIFEST, "versions.json")

    @property
    def records(self) -> tuple[str, ...]:
        """All that are committed as far as they are there; `finished.json` has their digests."""
        return (*self.collected, *self.further, STARTS)


def evidence(context: Context, job: Job, attempt: Attempt, work: Path, trainer: Trainer) -> Evidence:
    """Judge a job whose status file is there.

    One that wrote down its end (`finished`) had saved all: it is judged by that, whatever its exit code. torchrun says 1, for one, where a
    process is aborted while it ends, and it would be a night's training that is thrown away.
    """
    run = context.plan.run(job.run)
    output = read_bounded(job_folder(work, attempt.token) / "output")
    files = _files(context, run, work, trainer)
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
    missing = list(_missing(context, run, work, trainer))
    return Evidence((), missing, FailureClass.OUTPUT_MISSING, files) if missing else _judge(context, judged, work, files, trainer)


def _judge(context: Context, attempt: Attempt, work: Path, files: Mapping[str, bytes], trainer: Trainer) -> Evidence:
    run = next(run for run in context.plan.training if run.job == attempt.job)
    place = work / artifacts(context, run)
    try:
        found = result(context, run, attempt, files, trainer, config=read_bounded(work / context.run_folder(run.name) / CONFIG))
    except ValueError as error:
        return Evidence((), [str(error)], FailureClass.OUTPUT_MISSING, files)
    if found is None:
        return Evidence((), ["a record of the job is missing"], FailureClass.OUTPUT_MISSING, files)
    if diverged := next((point for point in (*found.losses, *found.validation) if not math.isfinite(point.loss)), None):
        return Evidence((), [f"the loss is {diverged.loss} at step {diverged.step}; try a lower lr"], FailureClass.DIVERGED, files)
    setup = work / context.run_folder(run.name) / "setup_finetune.yaml"
    if replaced := list(finished.differences(place, setup, attempt.token, trainer.records)):
        return Evidence((), replaced, FailureClass.INPUT_CHANGED, files)
    return Evidence([found], [], None, files, complete=True)


def _files(context: Context, run: Run, work: Path, trainer: Trainer) -> dict[str, bytes]:
    """What is committed: the records, as far as they are there. What the job printed is the orchestrator's to commit."""
    folder, files = context.run_folder(run.name), {}
    for name in trainer.records:
        content = read_bounded(work / artifacts(context, run) / name, MOST_LOG)
        if content is not None:
            files[f"{folder}/{name}"] = content
    return files


def _missing(context: Context, run: Run, work: Path, trainer: Trainer) -> Iterator[str]:
    place = work / artifacts(context, run)
    yield from (f"artifacts/{name} is missing" for name in trainer.collected if not (place / name).is_file())
    for planned in run.checkpoints:
        yield from problems(place / planned.folder, frozenset(context.cards[run.model].files))


def result(
    context: Context, run: Run, attempt: Attempt, files: Mapping[str, bytes], trainer: Trainer, config: bytes | None = None
) -> TrainingResult | None:
    """What training left, from its committed files; None when none of them is there.

    Args:
        config: what the attempt was to train with. The branch has that of the latest cluster, which may be another one.

    Raises:
        ValueError: some are missing, cannot be read, or are not of the training that was planned.
    """
    folder = context.run_folder(run.name)
    present = {name: files[f"{folder}/{name}"] for name in trainer.records if f"{folder}/{name}" in files}
    if not present.keys() & set(trainer.collected):
        return None
    if lacking := [name for name in trainer.collected if name not in present]:
        raise ValueError(f"run {run.name}: {', '.join(lacking)} is missing")
    return TrainingResult(
        run=run.name,
        seconds=attempt.seconds,
        checkpoints=_checkpoints(run, present[MANIFEST]),
        tokens=_tokens(context, run, present["tokens.json"]),
        versions=read_record(run, "versions.json", TypeAdapter(dict[str, str]), present["versions.json"]),
        starts=_starts(run, attempt, present.get(STARTS), config),
        **trainer.told(context, run, present),
    )


def _starts(run: Run, attempt: Attempt, content: bytes | None, config: bytes | None) -> tuple[str, ...]:
    """Which jobs made the training; none where it is an older one, which wrote nothing of that."""
    try:
        return () if content is None else tokens(content, attempt.token, config)
    except ValueError as error:
        raise ValueError(f"run {run.name}: {error}") from None


def _checkpoints(run: Run, content: bytes) -> tuple[Checkpoint, ...]:
    found = read_record(run, MANIFEST, MANIFEST_OF, content)
    listed = [checkpoint.path.rpartition("/")[2] for checkpoint in found]
    planned = [checkpoint.folder for checkpoint in run.checkpoints]
    if sorted(listed) != sorted(planned):
        raise ValueError(f"run {run.name}: {MANIFEST} lists {', '.join(listed) or 'nothing'}; {', '.join(planned)} were planned")
    return found


def _tokens(context: Context, run: Run, content: bytes) -> dict[str, TokenCheck]:
    checks: dict[str, TokenRecord] = read_record(run, "tokens.json", TypeAdapter(dict[str, TokenRecord]), content)
    rows = train_rows(context, run)
    if "train" not in checks or (rows and not checks["train"].rows):
        raise ValueError(f"run {run.name}: tokens.json does not say that training rows were compared")
    for name, check in checks.items():
        if check.by_row_sha256 and (len(check.by_row), rows_digest(check.by_row)) != (check.rows, check.by_row_sha256):
            raise ValueError(f"run {run.name}: of the rows of {name}, tokens.json lists other digests than those that it sums up")
    kept = context.kept.get(run.job)  # then it has compared rows that are asked otherwise now, or not at all
    said = {name: check for name, check in checks.items() if kept is None or name in ("train", *kept.tasks)}
    return {name: TokenCheck(**check.model_dump(exclude={"by_row"})) for name, check in said.items()}


def read_record(run: Run, name: str, adapter: TypeAdapter[T], content: bytes) -> T:
    """A record of a training.

    Raises:
        ValueError: it cannot be read; names the run.
    """
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"run {run.name}: {name} cannot be read: {first['msg']}") from None
