"""Reads an `.eval` log through inspect's own API, and refuses one that is not a complete evaluation of its cell."""

from __future__ import annotations

import contextlib
import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from ckgit.experiment.card import FileDigest, folder_digest
from ckgit.experiment.jobs import FailureClass
from ckgit.experiment.results import ROW_DIGITS, CellResult, TokenCheck, TokenRecord, rows_digest
from ckgit.workers.inspect_ai.cells import PlannedCell
from ckgit.workers.inspect_ai.codes import MARK, RefusedLogError
from ckgit.workers.inspect_ai.isolation import forget_settings
from ckgit.workers.inspect_ai.logs.scores import metrics_of, samples_of
from ckgit.workers.inspect_ai.logs.settings import differences
from ckgit.workers.inspect_ai.logs.texts import Shortening, texts_of
from ckgit.workers.inspect_ai.run_config import LOADED, MADE_BY, MADE_OF, ExpectedLog, expected_log

# A transcript can be a hundred times as large as what was asked, answered and scored.
_UNREAD = {"messages", "events", "events_data", "store", "attachments", "timelines", "error_retries", "setup", "files", "choices"}
_FILES = TypeAdapter(dict[str, FileDigest])
_STARTED = "_journal/start.json"  # the first file of a log; the header is the last


class Log(NamedTuple):
    """A log that counts."""

    header: Any
    samples: list[Any]
    tokens: TokenCheck | None
    by_row: tuple[str, ...]  # of each row that was sent, the SHA-256 of its tokens; none where that was not recorded


def read_log(wanted: ExpectedLog, path: Path) -> Log:
    """The one definition of a complete evaluation: the job that makes it, the judge and the report all ask here.

    A sample without a score is no reason against it: it is counted, see `read_cell`.

    Raises:
        RefusedLogError: it is cut short, did not succeed, is of another model, design, data, task or settings, or lacks samples.
        OSError: the file cannot be read.
    """
    _check_status(_read_header(path))
    header, samples = read(path)
    _check_settings(wanted, header)
    _check_samples(wanted, header, samples)
    tokens, by_row = _tokens(wanted, samples)
    _check_weights(header, samples)
    if wanted.weights and _weights(samples) not in (None, wanted.weights):
        raise RefusedLogError("its answers were made with other weights than those that are to be evaluated", FailureClass.INPUT_CHANGED)
    check_archive(path)
    return Log(header, samples, tokens, by_row)


def read_cell(cell: PlannedCell, path: Path, *, marked: bool, seen: TokenRecord | None = None) -> CellResult:
    """The result that a log holds.

    Args:
        marked: see `ExpectedLog`.
        seen: what training recorded of the task's rows, where it did.

    Raises:
        RefusedLogError: see `read_log`.
        OSError: the file cannot be read.
    """
    header, samples, tokens, by_row = read_log(expected_log(cell, marked=marked), path)
    if seen and by_row:
        _check_rows(by_row, seen)
    return CellResult(
        run=cell.run.name,
        task=cell.task.name,
        epoch=cell.cell.epoch,
        checkpoint=cell.cell.named,
        log=cell.log,
        log_sha256=_digest(path),
        seconds=_seconds(header),
        metrics=tuple(metrics_of(header.results.scores, samples)),
        samples=tuple(samples_of(header.results.scores, samples)),
        tokens=tokens,
        weights=_weights(samples),
        versions={**header.eval.packages, **_record(samples[0]).get("versions", {})},
        token=token_of(header),
        texts=tuple(texts_of(samples)),
    )


def token_of(header: Any) -> str | None:
    """Of the attempt that made a log; None in older logs, and where a container hid it from the job."""
    token = _made_of(header).get(MADE_BY)
    return str(token) if token else None


def _made_of(header: Any) -> Mapping[str, Any]:
    found = (header.eval.metadata or {}).get(MADE_OF)
    return found if isinstance(found, Mapping) else {}


def _read_header(path: Path) -> dict[str, Any]:
    """Status, error and all else that a log holds beside its samples. Does not import inspect, which takes two seconds."""
    # Python's zipfile learns Zstandard in 3.14 only; inspect-ai requires this package, which teaches it.
    import zipfile_zstd  # noqa: F401

    if _is_json(path):
        raise RefusedLogError("the log is in inspect's older JSON format, and not in the .eval format that an evaluation writes")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            header = dict(json.loads(archive.read("header.json"))) if "header.json" in names or _STARTED not in names else None
    except OSError:
        raise
    except Exception as error:  # each compression has an error of its own
        raise RefusedLogError(f"the log cannot be read, it was cut short or damaged: {error}") from error
    if header is None:
        raise RefusedLogError("the evaluation was not finished")
    return header


def _is_json(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(64).lstrip().startswith(b"{")


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


def read(path: Path) -> tuple[Any, list[Any]]:
    """A log without its samples, and these without transcripts and most texts.

    Of the same bytes it is read once, as results and audit ask in turn.

    Raises:
        RefusedLogError: it cannot be read.
    """
    digest = _digest(path)
    if digest not in _LAST:
        found = _read(path)
        _LAST.clear()
        _LAST[digest] = found
    return _LAST[digest]


def _digest(path: Path) -> str:
    with path.open("rb") as file:  # a log may be larger than memory
        return hashlib.file_digest(file, "sha256").hexdigest()


_LAST: dict[str, tuple[Any, list[Any]]] = {}  # the log that was read last, by its digest


def _read(path: Path) -> tuple[Any, list[Any]]:
    forget_settings()
    from inspect_ai.log import read_eval_log

    try:
        header = read_eval_log(path, header_only=True)
        for each in (sample for reduction in header.reductions or () for sample in reduction.samples):
            each.explanation = None  # a text for each sample
        kept = _kept(path)
        _check_listed(header, len(kept))
        return header, list(_samples(path, _listed(header, kept)))
    except RefusedLogError:
        raise
    except Exception as error:  # a damaged file makes zip, JSON and pydantic raise whatever they like
        text = str(error).replace(str(path), path.name).strip().splitlines()
        raise RefusedLogError(f"the log cannot be read: {text[0] if text else type(error).__name__}") from error


def _samples(path: Path, listed: Sequence[tuple[int | str, int]]) -> Iterator[Any]:
    """Samples by id and epoch, as inspect's own models have them, without what is not read here: however long texts are, a row is short.

    Inspect's `read_eval_log_samples_by_id` does the same, through coroutines that take four times as long as the reading.
    """
    from inspect_ai._util.constants import get_deserializing_context
    from inspect_ai.log import EvalSample

    short = Shortening()
    with zipfile.ZipFile(path) as archive:
        there = set(archive.namelist())
        for id_, epoch in listed:
            name = f"samples/{id_}_epoch_{epoch}.json"
            if name not in there:
                raise RefusedLogError(f"the log cannot be read: Sample id {id_} for epoch {epoch} not found")
            found = json.loads(archive.read(name))
            kept = {name: value for name, value in found.items() if name not in _UNREAD}
            yield short.shortened(EvalSample.model_validate(kept, context=get_deserializing_context()))


def _kept(path: Path) -> list[str]:
    """Names of the files of a log's samples, as they lie in it."""
    with zipfile.ZipFile(path) as archive:
        return [name for name in archive.namelist() if name.startswith("samples/")]


def _listed(header: Any, kept: Sequence[str]) -> list[tuple[int | str, int]]:
    """Id and epoch of each sample that a log lists, all of which must be there. Older logs list none: then they are those that it has."""
    if header.status != "success" or header.invalidated:
        raise RefusedLogError(f"the log does not have all samples (status={header.status})")
    if header.eval.dataset.sample_ids is None:
        parts = (name.removeprefix("samples/").removesuffix(".json").rpartition("_epoch_") for name in kept)
        return [(id_, int(epoch)) for id_, _, epoch in parts]
    epochs = range(1, (header.eval.config.epochs or 1) + 1)
    return [(each, epoch) for each in header.eval.dataset.sample_ids for epoch in epochs]


def _check_listed(header: Any, kept: int) -> None:
    """Inspect reads each sample that the header lists, however often it lists one."""
    listed = len(header.eval.dataset.sample_ids or ()) * (header.eval.config.epochs or 1)
    if listed > kept:
        raise RefusedLogError(f"the log lists {listed} samples, and has {kept}")


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
