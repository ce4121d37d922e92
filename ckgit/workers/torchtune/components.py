"""What finetune.yaml names beside torchtune's own components: rows rendered by ckgit's one renderer.

Imported in training jobs only.
"""

from __future__ import annotations

import datetime
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Dataset

from ckgit.formats.rows import Row
from ckgit.workers.rendering import Renderer, Tokens
from ckgit.workers.training.rows import render, rendered_rows


class RowRenderer:
    """What torchtune's recipes call the tokenizer: a renderer, and the id that fills a batch's shorter rows."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer
        pad = renderer.tokenizer.pad_token_id
        self.pad_id = int(pad) if pad is not None else renderer.end_of_turn  # padding is never a label, so any id does


def row_renderer(model_folder: str, dataset_type: str, prompt: str, system_prompt: str, template_date: str) -> RowRenderer:
    """The config's `tokenizer`. `template_date` is written YYYY-MM-DD."""
    return RowRenderer(
        Renderer(
            model_folder,
            dataset_type=dataset_type,
            prompt=prompt,
            system_prompt=system_prompt,
            template_date=datetime.date.fromisoformat(template_date),
        )
    )


class Rows(Dataset[dict[str, list[int]]]):
    """A split's rows, each with its tokens."""

    def __init__(self, rendered: list[tuple[Row, Tokens]]) -> None:
        self.rendered = rendered

    def __len__(self) -> int:
        return len(self.rendered)

    def __getitem__(self, position: int) -> dict[str, list[int]]:
        return self.rendered[position][1]._asdict()


def rows(
    tokenizer: RowRenderer,
    path: str,
    split: str,
    input_column: str,
    output_column: str,
    max_seq_len: int | None = None,
    shuffle_seed: int | None = None,
    max_samples: int | None = None,
) -> Rows:
    """The config's `dataset`; see `rendered_rows`."""
    columns = {"input_column": input_column, "output_column": output_column}
    limits = {"max_seq_len": max_seq_len, "shuffle_seed": shuffle_seed, "max_samples": max_samples}
    return Rows(rendered_rows(tokenizer.renderer, path, split, columns, made=render, **limits))


def constant_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_training_steps: int = 0,  # noqa: ARG001 recipes give it to every schedule
    last_epoch: int = -1,
) -> Any:
    """The config's `lr_scheduler: constant`: linear from 0 over `num_warmup_steps`, then the learning rate itself."""
    return LambdaLR(optimizer, lambda step: min(1.0, step / num_warmup_steps) if num_warmup_steps else 1.0, last_epoch)
