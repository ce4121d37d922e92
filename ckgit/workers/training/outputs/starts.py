"""`starts.json`: which jobs have made what lies in a run's `artifacts/`, and with which configuration.

A training that goes on after it was cut short has several starts, all of one job's attempts.
"""

import hashlib
import os
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ckgit.experiment.design.model import Frozen, Sha256

STARTS = "starts.json"


class Start(Frozen):
    """One start of a training."""

    token: str  # empty where a container hides the job's environment
    config: Sha256  # of finetune.yaml


_STARTS = TypeAdapter(tuple[Start, ...])


def read(artifacts: Path) -> tuple[Start, ...]:
    """The starts so far; none where older jobs trained, or where the file is damaged."""
    try:
        return _STARTS.validate_json((artifacts / STARTS).read_bytes())
    except (FileNotFoundError, ValidationError):
        return ()


def add(artifacts: Path, config: bytes) -> None:
    """Write down this start, after those of the training that it goes on with."""
    start = Start(token=os.environ.get("CKGIT_JOB", ""), config=hashlib.sha256(config).hexdigest())
    (artifacts / STARTS).write_bytes(_STARTS.dump_json((*read(artifacts), start), indent=2) + b"\n")


def tokens(content: bytes, token: str, config: bytes | None) -> tuple[str, ...]:
    """Tokens of the starts, in order, as far as they are known.

    Args:
        token: of the attempt that is to have made the training.
        config: the configuration that it is to have been made with, where that is known.

    Raises:
        ValueError: the file cannot be read; another job, or another configuration, made the training.
    """
    try:
        found = _STARTS.validate_json(content)
    except ValidationError as error:
        raise ValueError(f"{STARTS} cannot be read: {error.errors()[0]['msg']}") from None
    if not found or found[-1].token not in (token, ""):
        raise ValueError(f"artifacts/ was made by {found[-1].token if found else 'nobody'}, and not by {token}")
    if config is not None and any(start.config != hashlib.sha256(config).hexdigest() for start in found):
        raise ValueError("artifacts/ was made with another finetune.yaml")
    return tuple(start.token for start in found if start.token)
