"""Torchtune's own LoRA recipe for one device, with two faults of 0.6.1 mended, and with the tokens of each step in its log.

- On a CPU, saving an epoch changed the model that goes on training: `save_checkpoint` merges the adapter into `{k: v.cpu()}` of
  the model's weights, in place. On a GPU `.cpu()` makes a copy; on a CPU it does not, so the frozen weights gain the adapter's
  product at the end of each epoch while the adapter stays, and the loss jumps (from 0.06 to 3.6 in the quickstart). Here the
  frozen weights are put back.
- A training that was resumed counted its steps from 0 again, and so began its learning-rate schedule anew: `setup` sets
  `global_step` only where `max_steps_per_epoch` cuts an epoch short. Here it is set before the schedule is made, always.

Torchtune counts the tokens that a step is trained on, those whose label is not ignored, and logs only how many that is in a second. Here
each line of the log has their number since the line before, as `tokens`.

A training that is not resumed takes the same steps on a GPU as with the stock recipe.

    tune run ckgit/workers/torchtune/lora_single_device.py --config finetune.yaml
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torchtune
from omegaconf import DictConfig
from torchtune import config

RECIPE = "lora_finetune_single_device"


def stock_recipe() -> ModuleType:
    """Torchtune's recipe as a module. Its folder refuses to be imported as a package, so it is loaded by its file."""
    path = Path(torchtune.__file__).parent.parent / "recipes" / f"{RECIPE}.py"
    spec = importlib.util.spec_from_file_location(RECIPE, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"torchtune's recipe {RECIPE} is not at {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _TokenLogger:
    """A metric logger of torchtune's, with the tokens since the last line in each line."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._tokens: torch.Tensor | int = 0

    def add(self, tokens: torch.Tensor) -> None:
        """Count those of a batch: a number where the batch is, which a GPU is not made to wait for."""
        self._tokens = self._tokens + tokens

    def log_dict(self, payload: Mapping[str, Any], step: int) -> None:
        self._logger.log_dict({**payload, "tokens": int(self._tokens)}, step=step)
        self._tokens = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._logger, name)


class LoRASingleDevice(stock_recipe().LoRAFinetuneRecipeSingleDevice):  # type: ignore[misc]
    """Saves an epoch and leaves the model as it was; goes on where a training was cut short; counts its tokens."""

    def setup(self, cfg: DictConfig) -> None:
        """As torchtune's; what is logged goes by way of the count."""
        super().setup(cfg)
        self._count = _TokenLogger(self._metric_logger)
        self._metric_logger: Any = self._count

    def _loss_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        self._count.add((batch["labels"] != self._loss_fn.ignore_index).sum())
        return super()._loss_step(batch)

    def _setup_lr_scheduler(self, cfg_lr_scheduler: DictConfig, num_training_steps: int, last_epoch: int) -> Any:  # noqa: ARG002 - it is wrong
        self.global_step = self.epochs_run * self._steps_per_epoch
        return super()._setup_lr_scheduler(cfg_lr_scheduler, num_training_steps, self.global_step - 1)

    def save_checkpoint(self, epoch: int) -> None:
        """Save as torchtune does, then put the frozen weights back where saving changed them."""
        if self._device.type != "cpu":
            super().save_checkpoint(epoch)
            return
        frozen = {name: weight.detach().clone() for name, weight in self._model.named_parameters() if not weight.requires_grad}
        super().save_checkpoint(epoch)
        weights = dict(self._model.named_parameters())
        with torch.no_grad():
            for name, weight in frozen.items():
                weights[name].copy_(weight)


def recipe_main(cfg: DictConfig) -> None:
    """The recipe's steps, as torchtune's own `recipe_main` has them."""
    config.log_config(recipe_name="LoRASingleDevice", cfg=cfg)
    recipe = LoRASingleDevice(cfg=cfg)
    recipe.setup(cfg=cfg)
    recipe.train()
    recipe.cleanup()


if __name__ == "__main__":
    sys.exit(config.parse(recipe_main)())
