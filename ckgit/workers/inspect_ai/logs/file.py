"""What lies in a log's file: its header, and its samples as inspect's own models have them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ckgit.experiment.claims.rows import asked_digest, shortened, sketch_of
from ckgit.workers.inspect_ai.codes import RefusedLogError
from ckgit.workers.inspect_ai.isolation import forget_settings
from ckgit.workers.inspect_ai.logs.texts import Shortening, question_of

# A transcript can be a hundred times as large as what was asked, answered and scored.
_UNREAD = {"messages", "events", "events_data", "store", "attachments", "timelines", "error_retries", "setup", "files", "choices"}
_STARTED = "_journal/start.json"  # the first file of a log; the header is the last


def read_header(path: Path) -> dict[str, Any]:
    """Status, error and all else that a log holds beside its samples. Does not import inspect, which takes two seconds.

    Raises:
        RefusedLogError: it is none of inspect's, cut short or damaged, or the evaluation was not finished.
        OSError: the file cannot be read.
    """
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


class ReadLog(NamedTuple):
    """What lies in a log, as far as it is looked at."""

    header: Any
    samples: list[Any]  # without transcripts and most texts
    asked: Sequence[str]  # of each sample a digest of what its row asks; see `claims/rows.py`
    sketch: str  # of these rows


def read(path: Path) -> ReadLog:
    """A log without its samples, and these without transcripts and most texts.

    Of the same bytes it is read once, as results and audit ask in turn.

    Raises:
        RefusedLogError: it cannot be read.
    """
    digest = digest_of(path)
    if digest not in _LAST:
        found = _read(path)
        _LAST.clear()
        _LAST[digest] = found
    return _LAST[digest]


def digest_of(path: Path) -> str:
    """SHA-256 of a log's bytes."""
    with path.open("rb") as file:  # a log may be larger than memory
        return hashlib.file_digest(file, "sha256").hexdigest()


_LAST: dict[str, ReadLog] = {}  # the log that was read last, by its digest


def _read(path: Path) -> ReadLog:
    forget_settings()
    from inspect_ai.log import read_eval_log

    try:
        header = read_eval_log(path, header_only=True)
        for each in (sample for reduction in header.reductions or () for sample in reduction.samples):
            each.explanation = None  # a text for each sample
        kept = _kept(path)
        _check_listed(header, len(kept))
        asked: list[tuple[str, str]] = []
        samples = list(_samples(path, _listed(header, kept), str((header.eval.task_args or {}).get("prompt", "")), asked))
        return ReadLog(header, samples, [digest for _, digest in asked], sketch_of(text for text, _ in asked))
    except RefusedLogError:
        raise
    except Exception as error:  # a damaged file makes zip, JSON and pydantic raise whatever they like
        text = str(error).replace(str(path), path.name).strip().splitlines()
        raise RefusedLogError(f"the log cannot be read: {text[0] if text else type(error).__name__}") from error


def _samples(path: Path, listed: Sequence[tuple[int | str, int]], prompt: str, asked: list[tuple[str, str]]) -> Iterator[Any]:
    """Samples by id and epoch, as inspect's own models have them, without what is not read here: however long texts are, a row is short.

    Inspect's `read_eval_log_samples_by_id` does the same, through coroutines that take four times as long as the reading.

    Args:
        prompt: in which each row's input was asked.
        asked: what each sample asked is added to it, shortened, with its digest.
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
            question = question_of(found, prompt)
            asked.append((shortened(question), asked_digest(question)))
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
