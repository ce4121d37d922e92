"""Looks at a saved epoch without torch: is it a whole Hugging Face folder with whole weights?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from ckgit.experiment.results import MANIFEST, Checkpoint
from ckgit.formats.plain_json import read_json
from ckgit.formats.safetensors import LENGTH_BYTES, HeaderError, header_length, parse_header
from ckgit.workers.digests import digests

INDEX = "model.safetensors.index.json"
ADAPTER_FOLDER = "adapter"
ADAPTERS = ("adapter_model.safetensors", "adapter_model.pt")  # the second where a trainer knows no PEFT format for the model


def epoch_folder(artifacts: Path, epoch: int) -> Path:
    """Where an epoch is saved; epochs count from 0."""
    return artifacts / f"epoch_{epoch}"


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a folder, in order."""
    return sorted(folder.glob("*.safetensors"))


def problems(folder: Path, model_files: frozenset[str]) -> Iterator[str]:
    """Why a saved epoch is not complete, one sentence each.

    Args:
        folder: the epoch's folder.
        model_files: names of the files of the model it was trained from.
    """
    if not folder.is_dir():
        yield f"{folder.name} is missing"
        return
    yield from (f"{folder.name}/{name} is missing" for name in sorted(required(model_files)) if not (folder / name).is_file())
    files = weight_files(folder)
    if not files:
        yield f"{folder.name} holds no weights"
    yield from (f"{folder.name}/{file.name}: {problem}" for file in files if (problem := weights_problem(file)))
    yield from _index_problems(folder)


def required(model_files: frozenset[str]) -> set[str]:
    """Files that an epoch needs beside its weights: configuration, tokenizer and template of the model."""
    return {name for name in model_files if "/" not in name and not name.endswith((".safetensors", ".safetensors.index.json"))}


def weights_problem(file: Path) -> str | None:
    """Why a weight file cannot be whole, or None. Reads its header only."""
    try:
        with file.open("rb") as stream:
            length = header_length(stream.read(LENGTH_BYTES))
            header = parse_header(stream.read(length), length)
    except (OSError, HeaderError) as error:
        return str(error)
    size = file.stat().st_size
    if not header.tensors:
        return "it holds no weights"
    return None if size == header.file_bytes else f"it has {size} bytes instead of {header.file_bytes}"


def _index_problems(folder: Path) -> Iterator[str]:
    path = folder / INDEX
    if path.is_file():
        try:
            named = set(read_json(path.read_bytes())["weight_map"].values())
        except (ValueError, KeyError, AttributeError, TypeError):
            yield f"{folder.name}/{INDEX} cannot be read"
            return
        yield from (f"{folder.name}/{name} is missing" for name in sorted(named) if not (folder / name).is_file())


def write_manifest(artifacts: Path, checkpoints: Sequence[Checkpoint]) -> None:
    """Write down the checkpoints of a training."""
    text = json.dumps([item.model_dump(mode="json") for item in checkpoints], indent=2) + "\n"
    (artifacts / MANIFEST).write_text(text, encoding="utf-8")


def described(folder: Path, *, epoch: int | None = None, step: int | None = None, best: bool = False) -> Checkpoint:
    """A complete checkpoint as the manifest lists it; the folder is relative to the work tree. All of it is read."""
    return Checkpoint(
        epoch=epoch,
        step=step,
        best=best,
        path=folder.as_posix(),
        bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        sha256=_digest(_representative(folder)),
        files=dict(digests(folder)),
    )


def _representative(folder: Path) -> Path:
    """The file whose digest stands for the epoch: the adapter, else the only weight file, else the index."""
    adapter = next((path for name in ADAPTERS if (path := folder / ADAPTER_FOLDER / name).is_file()), None)
    files = weight_files(folder)
    return adapter or (files[0] if len(files) == 1 else folder / INDEX)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
