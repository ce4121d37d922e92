"""`state.json`: where a training that was cut short goes on, inside an epoch too, and ends with the bytes of one that was not.

TRL goes on with whatever it finds: without an optimizer's state, with other rows, at another rate. So each state has the digest of all
that it was made from, and of every file that it consists of; where one of these is not as it was, the training begins anew and says why.
A state counts from the moment at which this file is put in its place, and what it takes the place of is deleted after that.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from ckgit.experiment.design.model import Frozen, Sha256
from ckgit.experiment.design.parameters import BEST
from ckgit.jobs.script import BY_HAND
from ckgit.workers.training.outputs import starts
from ckgit.workers.trl.design.parameters import LAST
from ckgit.workers.trl.outputs.log import LOG_NAME, VALIDATION_LOG, loss_points, measured

STATE = "state.json"
RESUMED = "resumed.json"  # the number of steps at each start after the first
# Of several processes each has random numbers of its own, and FSDP saves what it shares under other names.
_ONLY_FOR_GOING_ON = ("optimizer.*", "scheduler.pt", "rng_state*.pth", "scaler.pt", "pytorch_model_fsdp*")


class TrainingState(Frozen):
    """A training at a step."""

    made_from: Sha256  # configuration, rows and versions
    step: int
    log_every: int
    measured: int | None = None  # validation losses until then; None in a state of an earlier version
    files: dict[str, Sha256]  # by path relative to artifacts/: of the checkpoint that goes on, and of those that are kept beside it

    @property
    def checkpoint(self) -> str:
        """The folder that TRL goes on with."""
        return folder_of(self.step)


def folder_of(step: int) -> str:
    """Where TRL saves a step."""
    return f"checkpoint-{step}"


def digest_of(parts: Mapping[str, bytes]) -> str:
    """One digest for contents by name."""
    found = {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()}
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def keep(artifacts: Path, made_from: str, step: int, *, log_every: int, others: Collection[int]) -> None:
    """Have a training go on from the checkpoint of a step, which was just saved, and no more from an earlier one.

    Args:
        others: earlier steps of which the weights stay.
    """
    checkpoints = [artifacts / folder_of(step), *(artifacts / folder_of(each) for each in sorted(set(others)))]
    done_with = [old for folder in checkpoints[1:] for name in _ONLY_FOR_GOING_ON for old in folder.glob(name)]
    files = [path for folder in checkpoints for path in sorted(folder.rglob("*")) if path.is_file() and path not in done_with]
    found = {path.relative_to(artifacts).as_posix(): _digest(path) for path in files}
    state = TrainingState(made_from=made_from, step=step, log_every=log_every, measured=len(measured(artifacts)), files=found)
    part = artifacts / f"{STATE}.part"
    with part.open("w", encoding="utf-8") as file:
        file.write(state.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(artifacts / STATE)
    for path in done_with:
        path.unlink(missing_ok=True)
    for folder in artifacts.glob("checkpoint-*"):
        if folder not in checkpoints:
            shutil.rmtree(folder)


def kept_step(artifacts: Path) -> int:
    """The step of a state that counts, as `go_on` found it; 0 where there is none."""
    file = artifacts / STATE
    return TrainingState.model_validate_json(file.read_bytes()).step if file.exists() else 0


def go_on(artifacts: Path, made_from: str) -> tuple[int, str]:
    """The step after which a training goes on; if there is none, why not (empty where none was begun). Nothing later is left.

    Args:
        made_from: all that the training is made from now.
    """
    if not (artifacts / STATE).exists():
        return 0, ""
    try:
        state = TrainingState.model_validate_json((artifacts / STATE).read_bytes())
    except ValidationError:
        return 0, "its state is damaged"
    if why := next(_why_not(artifacts, state, made_from), ""):
        return 0, why
    _cut_back(artifacts, state)
    return state.step, ""


def _why_not(artifacts: Path, state: TrainingState, made_from: str) -> Iterator[str]:
    if state.made_from != made_from:
        yield "it had another configuration, other rows or other versions of its tools"
    if any(start.token.startswith(BY_HAND) for start in starts.read(artifacts)):
        yield "it was started by hand"
    for name, digest in state.files.items():
        if not (artifacts / name).is_file() or _digest(artifacts / name) != digest:
            yield f"{name} is not as it was saved"
    logged = [point.step for point in loss_points(_read(artifacts / LOG_NAME)) if point.step <= state.step]
    if logged != list(range(state.log_every, state.step + 1, state.log_every)):
        yield "its log is not whole"
    if state.measured is not None and sum(point.step <= state.step for point in measured(artifacts)) != state.measured:
        yield "its validation log is not whole"


def _cut_back(artifacts: Path, state: TrainingState) -> None:
    kept = {Path(name).parts[0] for name in state.files}
    made = (folder for name in ("checkpoint-*", "epoch_*", BEST, LAST) for folder in artifacts.glob(name))
    for folder in made:
        if folder.name not in kept:
            shutil.rmtree(folder)
    for name in (LOG_NAME, VALIDATION_LOG):
        if (artifacts / name).exists():
            points = [line for line in _read(artifacts / name).splitlines(keepends=True) if _is_until(line, state.step)]
            _replace(artifacts / name, b"".join(points))
    before = json.loads(_read(artifacts / RESUMED) or b"[]")
    _replace(artifacts / RESUMED, json.dumps([*before, state.step]).encode() + b"\n")


def _is_until(line: bytes, step: int) -> bool:
    return any(point.step <= step for point in loss_points(line))


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
