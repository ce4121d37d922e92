"""After a training: each checkpoint that is kept becomes a Hugging Face folder that loads without PEFT, and is held against the trained.

Imported in training jobs only, where torchao is hidden.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from ckgit.experiment.card import is_model_file
from ckgit.workers.digests import ADAPTER_CONFIG, ADAPTER_WEIGHTS, base_of
from ckgit.workers.loading import NF4, QUANTIZATION, load_model
from ckgit.workers.training.outputs.checkpoint import ADAPTER_FOLDER, INDEX, required, weight_files
from ckgit.workers.trl.callbacks import NotFiniteError
from ckgit.workers.trl.design.parameters import ADAPTER, MERGED

MOST_ROWS = 4  # on which logits are compared
# Share of the largest logit by which a merged model may differ from adapter and base: rounding in the format of the weights.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2}
# Whose logits are compared, and with which.
TOGETHER = "the merged model differ from those of adapter and base"
ALONE = "the adapter, loaded beside its base, differ from those that were trained"


class MergedOtherwiseError(Exception):
    """A merged model is another one than the adapter beside its base; the message says by how much."""


class Base(NamedTuple):
    """The model that was trained, as it was before."""

    folder: Path
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def of(cls, folder: Path, dtype: str, *, cpu: bool) -> Base:
        """The model of a folder, in a number format by torch's name, where it was trained."""
        return cls(folder, getattr(torch, dtype), torch.device("cpu" if cpu else "cuda"))

    def load(self, folder: Path | None = None) -> Any:
        """Its weights, or those of another folder, in the format in which it was trained.

        Raises:
            MergedOtherwiseError: the folder lacks weights that the model has.
        """
        if folder and base_of(folder):
            return load_model(folder, dtype=self.dtype).to(self.device).eval()
        model, told = AutoModelForCausalLM.from_pretrained(folder or self.folder, dtype=self.dtype, output_loading_info=True)
        if told["missing_keys"] or told["unexpected_keys"]:
            names = sorted([*told["missing_keys"], *told["unexpected_keys"]])
            raise MergedOtherwiseError(f"{folder or self.folder} has not the weights of the model: {', '.join(names[:5])}")
        return model.to(self.device).eval()


def make_folders(
    saved: Iterable[tuple[Path, Path]], base: Base, rows: Sequence[Sequence[int]], save: str | None = None
) -> Iterator[float | None]:
    """Make the folders that are evaluated of what TRL saved, in order.

    Args:
        saved: what TRL saved, which stays as it is, each with the folder that is made of it.
        rows: tokens on which logits are compared.
        save: `merged` or `adapter` where that alone is to be there.

    Yields:
        By how much the logits of a merged model differ at most from those of adapter and base, as a share of the largest; None for
        a checkpoint that was not merged.

    Raises:
        MergedOtherwiseError: that is more than rounding.
        NotFiniteError: a weight is no number.
    """
    for checkpoint, folder in saved:
        folder.mkdir()
        wanted = list[torch.Tensor]()
        if (checkpoint / ADAPTER_WEIGHTS).exists():
            wanted = _merge(checkpoint, folder, base, rows[:MOST_ROWS], save)
        else:
            _copy(checkpoint, folder)
        _copy_model_files(base.folder, folder)
        _refuse_not_finite(folder)
        found = base.load(folder)
        what = ALONE if save == ADAPTER else TOGETHER
        share = _share(folder.name, wanted, _logits(found, rows[:MOST_ROWS], base), what) if wanted else None
        yield share if save != ADAPTER else None


def keep_adapters(
    saved: Sequence[tuple[Path, Path]], base: Base, rows: Sequence[Sequence[int]], trained: Sequence[torch.Tensor]
) -> float | None:
    """Make the folders of adapters that were trained beside a quantized base: merged into one that is not, they would be another model.

    Args:
        trained: by `logits_of`, of the model as the training left it, which the last of them is; empty where it was left earlier.

    Returns:
        By how much the logits of the last one, loaded as evaluation loads it, differ at most from these, as a share of the largest.

    Raises:
        MergedOtherwiseError: that is more than rounding.
        NotFiniteError: a weight is no number.
    """
    for checkpoint, folder in saved:
        folder.mkdir()
        _keep_adapter(checkpoint, folder, base.folder.as_posix())
        (folder / QUANTIZATION).write_text(json.dumps(NF4, indent=2) + "\n", encoding="utf-8")
        _copy_model_files(base.folder, folder)
        _refuse_not_finite(folder)
    last = max(saved, key=lambda pair: int(pair[0].name.rpartition("-")[2]))[1]
    again = _logits(load_model(last, dtype=base.dtype, device_map=str(base.device)).eval(), rows[:MOST_ROWS], base)
    return _share(last.name, trained, again, ALONE) if trained else None


def logits_of(model: Any, rows: Sequence[Sequence[int]], base: Base) -> list[torch.Tensor]:
    """Logits of a model that was trained, with nothing left out of it."""
    return _logits(model.eval(), rows[:MOST_ROWS], base)


def _copy(checkpoint: Path, folder: Path) -> None:
    for file in (*weight_files(checkpoint), checkpoint / INDEX):
        if file.exists():
            shutil.copyfile(file, folder / file.name)


def _merge(checkpoint: Path, folder: Path, base: Base, rows: Sequence[Sequence[int]], save: str | None) -> list[torch.Tensor]:
    """Save the merged weights, and the adapter beside them, or one of the two; the logits of the adapter and its base."""
    model = PeftModel.from_pretrained(base.load(), checkpoint).eval()
    logits = _logits(model, rows, base)
    if save == ADAPTER:
        _keep_adapter(checkpoint, folder, base.folder.as_posix())
        return logits
    model.merge_and_unload().save_pretrained(folder)
    for written in folder.iterdir():
        if not written.name.endswith((".safetensors", INDEX)):
            written.unlink()  # configuration, as the trainer has changed it
    if save != MERGED:
        _keep_adapter(checkpoint, folder / ADAPTER_FOLDER, base.folder.name)
    return logits


def _share(name: str, wanted: Sequence[torch.Tensor], found: Sequence[torch.Tensor], what: str) -> float:
    largest = max(float(each.abs().max()) for each in wanted)
    share = max(float((one - other).abs().max()) for one, other in zip(wanted, found, strict=True)) / max(largest, 1e-9)
    if share > TOLERANCE[wanted[0].dtype]:
        raise MergedOtherwiseError(f"{name}: the logits of {what} by {share:.2g} of the largest")
    return share


def _logits(model: Any, rows: Sequence[Sequence[int]], base: Base) -> list[torch.Tensor]:
    with torch.no_grad():
        return [model(torch.tensor([row], device=base.device)).logits.to(base.dtype).cpu() for row in rows]


def _keep_adapter(checkpoint: Path, folder: Path, model: str) -> None:
    """The adapter's weights, and its configuration without the place in which its model lay, in an order that no hash decides."""
    folder.mkdir(exist_ok=True)
    shutil.copyfile(checkpoint / ADAPTER_WEIGHTS, folder / ADAPTER_WEIGHTS)
    config = json.loads((checkpoint / ADAPTER_CONFIG).read_bytes()) | {"base_model_name_or_path": model}
    if isinstance(config["target_modules"], list):
        config["target_modules"] = sorted(config["target_modules"])
    (folder / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _copy_model_files(model: Path, folder: Path) -> None:
    """Configuration, tokenizer and template are the model's own: a trainer writes others, with its own padding and settings."""
    for name in sorted(required(frozenset(file.name for file in model.iterdir() if file.is_file() and is_model_file(file.name)))):
        shutil.copyfile(model / name, folder / name)


def _refuse_not_finite(folder: Path) -> None:
    for file in weight_files(folder):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - it is no mapping
                if not torch.isfinite(tensors.get_tensor(name)).all():
                    raise NotFiniteError(f"{folder.name}: {name} holds what is no number; try a lower lr")
