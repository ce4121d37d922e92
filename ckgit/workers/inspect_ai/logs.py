"""Reads an `.eval` log through inspect's own API, and refuses one that is not a complete evaluation of its cell."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ckgit.experiment.jobs import FailureClass
from ckgit.experiment.results import CellResult, Metric, Sample, Score, TokenCheck
from ckgit.workers.inspect_ai.cells import Planned
from ckgit.workers.inspect_ai.codes import MARK
from ckgit.workers.inspect_ai.pinned import forget_settings
from ckgit.workers.inspect_ai.settings import differences

# A transcript can be a hundred times as large as what was asked, answered and scored.
_UNREAD = {"messages", "events", "store", "attachments"}
_GRADES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}  # inspect's letters: correct, incorrect, partial, no answer
_STDERR = ("stderr", "bootstrap_stderr")


class RefusedLogError(ValueError):
    """The log does not count as an evaluation of the cell; the message says why, in one sentence."""

    def __init__(self, why: str, failure: FailureClass = FailureClass.OUTPUT_MISSING) -> None:
        super().__init__(why)
        self.failure = failure


def read_cell(cell: Planned, path: Path) -> CellResult:
    """The result that a log holds.

    Raises:
        RefusedLogError: it is cut short, did not succeed, is of another model, task or settings, or lacks samples.
    """
    header, samples = _read(cell, path)
    _check_status(header)
    _check_settings(cell, header)
    _check_samples(cell, header, samples)
    return CellResult(
        run=cell.run.name,
        task=cell.task.name,
        epoch=cell.cell.epoch,
        log=cell.log,
        log_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        seconds=_seconds(header),
        metrics=tuple(_metrics(header, len(samples))),
        samples=tuple(map(_sample, samples)),
        tokens=_tokens(cell, samples),
        versions={**header.eval.packages, **_record(samples[0]).get("versions", {})},
    )


def check_archive(path: Path) -> None:
    """Unpack all of a log, whatever it says. Does not import inspect.

    Raises:
        RefusedLogError: it is no archive, cut short or damaged.
        OSError: the file cannot be read.
    """
    # Python's zipfile learns Zstandard in 3.14 only; inspect-ai requires this package, which teaches it.
    with contextlib.suppress(ImportError):
        import zipfile_zstd  # noqa: F401
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except OSError:
        raise
    except Exception as error:  # each compression has an error of its own
        raise RefusedLogError(f"the log cannot be unpacked: {error}") from error
    if damaged:
        raise RefusedLogError(f"the log cannot be unpacked: {damaged} is damaged")


def _read(cell: Planned, path: Path) -> tuple[Any, list[Any]]:
    forget_settings()
    from inspect_ai.log import read_eval_log, read_eval_log_samples

    try:
        header = read_eval_log(path, header_only=True)
        if header.status != "success":
            return header, []
        return header, list(read_eval_log_samples(path, exclude_fields=_UNREAD))
    except Exception as error:  # a damaged file makes zip, JSON and pydantic raise whatever they like
        text = str(error).replace(str(path), cell.log).strip().splitlines()
        raise RefusedLogError(f"the log cannot be read: {text[0] if text else type(error).__name__}") from error


def _check_status(header: Any) -> None:
    if header.status == "success" and header.results and not header.invalidated:
        return
    if header.status == "success":
        raise RefusedLogError("the log was invalidated" if header.invalidated else "the log has no results")
    message = header.error.message if header.error else ""
    failure = FailureClass.TOKENS_DIFFER if MARK in message else FailureClass.ERROR
    words = {"started": "was not finished", "cancelled": "was cancelled"}.get(header.status, f"ended with status {header.status}")
    raise RefusedLogError(f"the evaluation {words}" + (f": {message}" if message else ""), failure)


def _check_settings(cell: Planned, header: Any) -> None:
    if found := list(differences(cell, header)):
        raise RefusedLogError(f"the log is of another evaluation: {'; '.join(found)}")


def _check_samples(cell: Planned, header: Any, samples: list[Any]) -> None:
    epochs = header.eval.config.epochs or 1
    rows = cell.expected_samples
    expected = header.results.total_samples if rows is None else rows * epochs
    if not expected or len(samples) != expected or header.results.completed_samples != expected:
        completed = header.results.completed_samples
        raise RefusedLogError(f"{completed} samples were completed and {len(samples)} logged; {expected} were expected")
    if failed := [sample for sample in samples if sample.error]:
        raise RefusedLogError(f"sample {failed[0].id} ended with an error: {failed[0].error.message}", FailureClass.ERROR)
    if unscored := [sample.id for sample in samples if not sample.scores]:
        raise RefusedLogError(f"{len(unscored)} samples have no score, first of them {unscored[0]}")


def _tokens(cell: Planned, samples: list[Any]) -> TokenCheck | None:
    """What the provider found; None for a task with data of its own, which training never saw."""
    if cell.data is None:
        return None
    records = [_record(sample) for sample in samples]
    if lacking := [sample.id for sample, record in zip(samples, records, strict=True) if "check" not in record]:
        raise RefusedLogError(f"the tokens of sample {lacking[0]} were not compared with training's", FailureClass.TOKENS_DIFFER)
    checks = {json.dumps(record["check"], sort_keys=True) for record in records}
    if len(checks) != 1:
        raise RefusedLogError("samples were compared with different renderings", FailureClass.TOKENS_DIFFER)
    check = TokenCheck.model_validate_json(checks.pop())
    rows = {record["row"] for record in records}
    if rows != set(range(check.rows)) or check.rows != cell.expected_samples:
        raise RefusedLogError(f"{len(rows)} of {check.rows} rows were sent", FailureClass.TOKENS_DIFFER)
    return check


def _record(sample: Any) -> dict[str, Any]:
    """What the provider wrote of the answer to a sample; empty where another one answered."""
    return dict((sample.output.metadata or {}).get("ckgit") or {})


def _metrics(header: Any, samples: int) -> Iterator[Metric]:
    if not header.results.scores:
        raise RefusedLogError("the log has no metrics")
    for score in header.results.scores:
        errors = [score.metrics[name].value for name in _STDERR if name in score.metrics]
        for name, metric in score.metrics.items():
            if name in _STDERR:
                continue
            if not math.isfinite(metric.value):
                raise RefusedLogError(f"{name} of scorer {score.name} is {metric.value}")
            count = samples if score.scored_samples is None else score.scored_samples
            plain = Metric(scorer=score.name, name=name, value=metric.value, samples=count)
            has_error = name in ("accuracy", "mean") and errors and math.isfinite(errors[0])
            yield plain.model_copy(update={"stderr": errors[0], "stderr_from": "tool"}) if has_error else plain


def _sample(sample: Any) -> Sample:
    scores: dict[str, Score] = {}
    for name, score in sample.scores.items():
        if isinstance(score.value, dict):
            scores |= {f"{name}.{key}": _grade(value) for key, value in score.value.items()}
        else:
            scores[name] = _grade(score.value)
    answer = next((score.answer for score in sample.scores.values() if score.answer is not None), None)
    target = sample.target if isinstance(sample.target, str) else json.dumps(list(sample.target))
    return Sample(id=sample.id, epoch=sample.epoch, scores=scores, answer=answer, target=target)


def _grade(value: Any) -> Score:
    if isinstance(value, str):
        return _GRADES.get(value, value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, bool | int | float) else json.dumps(value)


def _seconds(header: Any) -> float:
    from datetime import datetime

    start, end = header.stats.started_at, header.stats.completed_at
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() if start and end else 0.0
