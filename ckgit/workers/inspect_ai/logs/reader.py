"""Reads an `.eval` log through inspect's own API, and refuses one that is not a complete evaluation of its cell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from ckgit.experiment.card import FileDigest, folder_digest
from ckgit.experiment.jobs import FailureClass
from ckgit.experiment.results import ROW_DIGITS, CellResult, TokenCheck, TokenRecord, rows_digest
from ckgit.workers.inspect_ai.cells import PlannedCell
from ckgit.workers.inspect_ai.codes import MARK, RefusedLogError
from ckgit.workers.inspect_ai.logs.file import check_archive, digest_of, read, read_header
from ckgit.workers.inspect_ai.logs.scores import metrics_of, samples_of
from ckgit.workers.inspect_ai.logs.settings import differences
from ckgit.workers.inspect_ai.logs.texts import texts_of
from ckgit.workers.inspect_ai.run_config import LOADED, MADE_BY, MADE_OF, ExpectedLog, expected_log

_FILES = TypeAdapter(dict[str, FileDigest])


class Log(NamedTuple):
    """A log that counts."""

    header: Any
    samples: list[Any]
    tokens: TokenCheck | None
    by_row: tuple[str, ...]  # of each row that was sent, the SHA-256 of its tokens; none where that was not recorded
    asked: Sequence[str]  # of each sample a digest of what its row asks
    sketch: str  # of these rows


def read_log(wanted: ExpectedLog, path: Path) -> Log:
    """The one definition of a complete evaluation: the job that makes it, the judge and the report all ask here.

    A sample without a score is no reason against it: it is counted, see `read_cell`.

    Raises:
        RefusedLogError: it is cut short, did not succeed, is of another model, design, data, task or settings, or lacks samples.
        OSError: the file cannot be read.
    """
    _check_status(read_header(path))
    header, samples, asked, sketch = read(path)
    _check_settings(wanted, header)
    _check_samples(wanted, header, samples)
    tokens, by_row = _tokens(wanted, samples)
    _check_weights(header, samples)
    if wanted.weights and _weights(samples) not in (None, wanted.weights):
        raise RefusedLogError("its answers were made with other weights than those that are to be evaluated", FailureClass.INPUT_CHANGED)
    check_archive(path)
    return Log(header, samples, tokens, by_row, asked, sketch)


def read_cell(cell: PlannedCell, path: Path, *, marked: bool, seen: TokenRecord | None = None) -> CellResult:
    """The result that a log holds.

    Args:
        marked: see `ExpectedLog`.
        seen: what training recorded of the task's rows, where it did.

    Raises:
        RefusedLogError: see `read_log`.
        OSError: the file cannot be read.
    """
    header, samples, tokens, by_row, asked, sketch = read_log(expected_log(cell, marked=marked), path)
    if seen and by_row:
        _check_rows(by_row, seen)
    return CellResult(
        run=cell.run.name,
        task=cell.task.name,
        epoch=cell.cell.epoch,
        checkpoint=cell.cell.named,
        log=cell.log,
        log_sha256=digest_of(path),
        seconds=_seconds(header),
        metrics=tuple(metrics_of(header.results.scores, samples)),
        samples=tuple(samples_of(header.results.scores, samples)),
        tokens=tokens,
        weights=_weights(samples),
        versions={**header.eval.packages, **_record(samples[0]).get("versions", {})},
        token=token_of(header),
        texts=tuple(texts_of(samples)),
        rows=sketch,
        asked="".join(asked),
    )


def token_of(header: Any) -> str | None:
    """Of the attempt that made a log; None in older logs, and where a container hid it from the job."""
    token = _made_of(header).get(MADE_BY)
    return str(token) if token else None


def _made_of(header: Any) -> Mapping[str, Any]:
    found = (header.eval.metadata or {}).get(MADE_OF)
    return found if isinstance(found, Mapping) else {}


def _check_status(header: Mapping[str, Any]) -> None:
    status, results = str(header.get("status")), header.get("results") or {}
    if status == "success" and header.get("invalidated"):
        raise RefusedLogError("the log was invalidated")
    if status == "success" and not results:
        raise RefusedLogError("the log has no results")
    if status == "success" and not results.get("scores"):
        raise RefusedLogError("the log has no metrics")
    if status == "success":
        return
    message = (header.get("error") or {}).get("message", "")
    failure = FailureClass.TOKENS_DIFFER if MARK in message else FailureClass.ERROR
    words = "was cancelled" if status == "cancelled" else f"ended with status {status}"
    raise RefusedLogError(f"the evaluation {words}" + (f": {message}" if message else ""), failure)


def _check_settings(wanted: ExpectedLog, header: Any) -> None:
    if found := list(differences(wanted, header)):
        raise RefusedLogError(f"the log is of another evaluation: {'; '.join(found)}")


def _check_samples(wanted: ExpectedLog, header: Any, samples: list[Any]) -> None:
    epochs = header.eval.config.epochs or 1
    expected = header.results.total_samples if wanted.samples is None else wanted.samples * epochs
    if not expected or len(samples) != expected or header.results.completed_samples != expected:
        completed = header.results.completed_samples
        raise RefusedLogError(f"{completed} samples were completed and {len(samples)} logged; {expected} were expected")
    if failed := [sample for sample in samples if sample.error]:
        raise RefusedLogError(f"sample {failed[0].id} ended with an error: {failed[0].error.message}", FailureClass.ERROR)


def _tokens(wanted: ExpectedLog, samples: list[Any]) -> tuple[TokenCheck | None, tuple[str, ...]]:
    """What the provider found, and the digest of each row; nothing for a task with data of its own, which training never saw."""
    if "rows" not in wanted.config["model"]["args"]:
        return None, ()
    records = [_record(sample) for sample in samples]
    if lacking := [sample.id for sample, record in zip(samples, records, strict=True) if "check" not in record]:
        raise RefusedLogError(f"the tokens of sample {lacking[0]} were not compared with training's", FailureClass.TOKENS_DIFFER)
    checks = {json.dumps(record["check"], sort_keys=True) for record in records}
    if len(checks) != 1:
        raise RefusedLogError("samples were compared with different renderings", FailureClass.TOKENS_DIFFER)
    check = TokenCheck.model_validate_json(checks.pop())
    rows = {record["row"] for record in records}
    if rows != set(range(check.rows)) or check.rows != wanted.samples:
        raise RefusedLogError(f"{len(rows)} of {check.rows} rows were sent", FailureClass.TOKENS_DIFFER)
    return check, _by_row(check, records)


def _by_row(check: TokenCheck, records: list[dict[str, Any]]) -> tuple[str, ...]:
    found = {(record["row"], record.get("prefix_sha256", "")) for record in records}
    by_row = tuple(prefix for _, prefix in sorted(found))
    if check.by_row_sha256 and (len(by_row), rows_digest(by_row)) != (check.rows, check.by_row_sha256):
        raise RefusedLogError("the tokens that it lists for each row are not those that it sums up", FailureClass.TOKENS_DIFFER)
    return by_row if all(by_row) and len(by_row) == check.rows else ()


def _check_rows(by_row: Sequence[str], seen: TokenRecord) -> None:
    """Each row that training looked at was sent with the tokens that it saw."""
    pairs = zip(by_row, seen.by_row, strict=False)  # training looks at the first rows of a long split only
    if (other := next((row for row, (sent, saw) in enumerate(pairs) if sent[:ROW_DIGITS] != saw), None)) is not None:
        raise RefusedLogError(f"row {other} was sent with other tokens than training recorded", FailureClass.TOKENS_DIFFER)


def _weights(samples: list[Any]) -> str | None:
    """The digest that the provider wrote, with every answer, of the files it loaded; None in older logs."""
    found = {record["weights"] for record in map(_record, samples) if "weights" in record}
    if len(found) > 1:
        raise RefusedLogError("its answers were made with different weights", FailureClass.INPUT_CHANGED)
    return found.pop() if found else None


def _check_weights(header: Any, samples: list[Any]) -> None:
    """The files that the job said it would load are those that its answers were made with. Older logs name no files."""
    listed, loaded = _made_of(header).get(LOADED), _weights(samples)
    if listed is None or loaded is None:
        return
    try:
        same = folder_digest(_FILES.validate_python(listed)) == loaded
    except ValidationError:
        same = False
    if not same:
        raise RefusedLogError("its answers were made with other weights than the files that it lists", FailureClass.INPUT_CHANGED)


def _record(sample: Any) -> dict[str, Any]:
    """What the provider wrote of the answer to a sample; empty where another one answered."""
    return dict((sample.output.metadata or {}).get("ckgit") or {})


def _seconds(header: Any) -> float:
    from datetime import datetime

    start, end = header.stats.started_at, header.stats.completed_at
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() if start and end else 0.0
