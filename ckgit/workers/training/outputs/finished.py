"""`finished.json`: SHA-256 of each record of a training, as its job left them. What was put in their place since is named, never used.

The checkpoints themselves are held against `checkpoints.json` by the evaluations that load them.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from ckgit.experiment.design.model import Frozen, Sha256
from ckgit.workers.training.setup import FINISHED, RECORDED


class FinishedRecord(Frozen):
    """The end of a training."""

    token: str  # of the job; empty where a container hides its environment
    files: dict[str, Sha256]


def write(artifacts: Path, records: Sequence[str]) -> None:
    """Write down the records, once all are there: those of these names that the training has."""
    end = FinishedRecord(token=os.environ.get("CKGIT_JOB", ""), files=_digests(artifacts, records))
    (artifacts / FINISHED).write_text(end.model_dump_json(indent=2) + "\n", encoding="utf-8")


def is_of(artifacts: Path, token: str) -> bool:
    """Whether the job with this token came to the end of its training: this record is the last thing that is saved."""
    try:
        return FinishedRecord.model_validate_json((artifacts / FINISHED).read_bytes()).token == token
    except (FileNotFoundError, ValidationError):
        return False


def differences(artifacts: Path, setup: Path, token: str, records: Sequence[str]) -> Iterator[str]:
    """What is not as the job left it, a sentence each.

    Args:
        setup: the run's setup file. One of an older ckgit, whose jobs wrote nothing of that, does not ask for the record.
        token: of the attempt that is to have made the training.
        records: as `write` has them.
    """
    try:
        found = FinishedRecord.model_validate_json((artifacts / FINISHED).read_bytes())
    except FileNotFoundError:
        if not setup.is_file() or RECORDED in setup.read_text(encoding="utf-8").splitlines():
            yield f"artifacts/{FINISHED} is missing, in which the job wrote down what it left"
        return
    except ValidationError as error:
        yield f"artifacts/{FINISHED} cannot be read: {error.errors()[0]['msg']}"
        return
    if found.token not in (token, ""):
        yield f"artifacts/ was left by {found.token}, and not by {token}"
        return
    now = _digests(artifacts, records)
    yield from (f"artifacts/{name} is not as the job left it" for name in records if now.get(name) != found.files.get(name))


def _digests(artifacts: Path, records: Sequence[str]) -> dict[str, str]:
    return {name: _digest(artifacts / name) for name in records if (artifacts / name).is_file()}


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
