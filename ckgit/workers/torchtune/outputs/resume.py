"""Where a training that was cut short goes on: after its last whole epoch, if the result is that of a training in one go.

What torchtune saves beside each epoch but the last (`recipe_state.pt`: optimizer, epochs done, seed) makes that exact: the order of
rows follows from the epoch's number, the learning rate from the number of steps. It is not exact, and the training begins anew,

- with dropout, because the state of the random numbers is not saved: other weights would be left out than in one go;
- where an epoch ends in the middle of an accumulation, because torchtune carries these gradients, which it does not save, into the
  next epoch.
"""

from __future__ import annotations

import json
import math
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ckgit.formats.plain_json import read_json
from ckgit.jobs.script import BY_HAND
from ckgit.workers.torchtune.config import LOG_NAME
from ckgit.workers.torchtune.outputs.logs import loss_points, step_of
from ckgit.workers.training.outputs import starts
from ckgit.workers.training.outputs.checkpoint import ADAPTER_FOLDER, epoch_folder, weight_files, weights_problem

STATE = "recipe_state/recipe_state.pt"
ADAPTER = "adapter_model.pt"
CONFIG = "finetune.yaml"  # in artifacts/: the configuration that training began with
START = "start.yaml"  # and that of its latest start
RESUMED = "resumed.json"  # the number of whole epochs at each start after the first


class EpochPlan(NamedTuple):
    """A training's epochs, as torchtune counts them."""

    epochs: int
    steps: int  # of the optimizer, an epoch
    log_every: int
    carries_over: bool  # whether an epoch's last gradients are left to the next one
    dropout: bool
    lora: bool

    @classmethod
    def of(cls, config: Mapping[str, Any], rows: int, processes: int) -> EpochPlan:
        """The shape of a torchtune config."""
        batches = math.ceil(rows / processes) // config["batch_size"]
        whole = batches // config["gradient_accumulation_steps"]
        steps = min(whole, config["max_steps_per_epoch"] or whole)
        return cls(
            epochs=config["epochs"],
            steps=steps,
            log_every=config["log_every_n_steps"],
            carries_over=batches % config["gradient_accumulation_steps"] > 0 and not 0 < (config["max_steps_per_epoch"] or 0) <= whole,
            dropout=bool(config["model"].get("lora_dropout")),
            lora="lora_rank" in config["model"],
        )


def whole_epochs(artifacts: Path, content: bytes, versions: Mapping[str, str], shape: EpochPlan) -> tuple[int, str]:
    """How many epochs of an earlier start need not be trained again; if none, why not (empty where nothing was begun).

    Args:
        content: the configuration as it is now.
        versions: of the tools, as they are now.
    """
    if not (artifacts / STATE).exists():
        return 0, ""
    done = _epochs_run(artifacts / STATE)
    why = next(_why_not(artifacts, content, versions, shape, done), "")
    return (0, why) if why else (done, "")


def _why_not(artifacts: Path, content: bytes, versions: Mapping[str, str], shape: EpochPlan, done: int) -> Iterator[str]:
    if shape.dropout:
        yield "with dropout it would not be the training that was designed"
    if shape.carries_over:
        yield "its epochs end in the middle of an accumulation"
    if _read(artifacts / CONFIG) != content:
        yield "it had another configuration"
    if any(start.token.startswith(BY_HAND) for start in starts.read(artifacts)):
        yield "it was started by hand"
    if read_json(_read(artifacts / "versions.json") or "{}") != versions:
        yield "it had other versions of its tools"
    if not 0 < done < shape.epochs:
        yield "its state is damaged"
    folders = [epoch_folder(artifacts, epoch) for epoch in range(done)]
    if any(not weight_files(folder) or any(map(weights_problem, weight_files(folder))) for folder in folders):
        yield "a saved epoch is damaged"
    if shape.lora and not (folders and _is_whole_zip(artifacts / adapter(artifacts, done))):
        yield "its saved adapter is damaged"
    expected = range(shape.log_every, done * shape.steps + 1, shape.log_every)
    if [step for step in _logged(artifacts / LOG_NAME) if step <= done * shape.steps] != list(expected):
        yield "its log is not whole"


def adapter(artifacts: Path, done: int) -> str:
    """Where the adapter of the last whole epoch is, relative to `artifacts`; the last step of a job moves it."""
    folder = epoch_folder(artifacts, done - 1)
    return f"{folder.name}/{ADAPTER}" if (folder / ADAPTER).exists() else f"{folder.name}/{ADAPTER_FOLDER}/{ADAPTER}"


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _logged(log: Path) -> list[int]:
    if not log.is_file():
        return []
    with log.open("rb") as stream:
        return [point.step for point in loss_points(stream)]


def _is_whole_zip(path: Path) -> bool:
    """Whether a file of torch.save is whole, by the checksums in it: a node that dies may leave any part of it unwritten."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError):
        return False


def _epochs_run(state: Path) -> int:
    """Epochs that were whole when the state was saved; 0 where it cannot be read. It is saved after the epoch it belongs to."""
    if not _is_whole_zip(state):
        return 0
    import torch

    try:
        return int(torch.load(state, map_location="cpu", mmap=True, weights_only=True)["epochs_run"])
    except (RuntimeError, KeyError, TypeError, ValueError):
        return 0


def cut_back(artifacts: Path, shape: EpochPlan, done: int) -> None:
    """Leave nothing but the whole epochs, and their part of the log."""
    for epoch in range(done, shape.epochs):
        shutil.rmtree(epoch_folder(artifacts, epoch), ignore_errors=True)
    log, short = artifacts / LOG_NAME, artifacts / f"{LOG_NAME}.part"
    with log.open("rb") as lines, short.open("wb") as kept:
        kept.writelines(line for line in lines if (step := step_of(line)) is not None and step <= done * shape.steps)
    short.replace(log)
    starts = read_json(_read(artifacts / RESUMED) or "[]")
    (artifacts / RESUMED).write_text(json.dumps([*starts, done]) + "\n", encoding="utf-8")


def resuming(config: Mapping[str, Any], artifacts: Path, done: int) -> dict[str, Any]:
    """A config as torchtune wants it to go on after `done` epochs."""
    source: dict[str, Any]
    if "lora_rank" in config["model"]:  # from the base model, as at first
        source = {"adapter_checkpoint": adapter(artifacts, done)}
    else:
        source = {"checkpoint_files": [f"{file.parent.name}/{file.name}" for file in weight_files(epoch_folder(artifacts, done - 1))]}
    return {**config, "resume_from_checkpoint": True, "checkpointer": {**config["checkpointer"], **source}}
