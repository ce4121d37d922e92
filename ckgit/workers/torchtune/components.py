"""What finetune.yaml names beside torchtune's own components: rows rendered by ckgit's one renderer.

Imported in training jobs only.
"""

from __future__ import annotations

import datetime
import random
from pathlib import Path
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Dataset

from ckgit.formats.rows import DataError, Row, parse_rows
from ckgit.workers.rendering import Renderer, RenderError, Tokens, refused_rows, short


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
    """A split's rows, rendered. `rows` are in the order of the items."""

    def __init__(self, rows: list[Row], rendered: list[Tokens]) -> None:
        self.rows = rows
        self._rendered = rendered

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> dict[str, list[int]]:
        return self._rendered[position]._asdict()


def rows(
    tokenizer: RowRenderer,
    path: str,
    split: str,
    input_column: str,
    output_column: str,
    max_seq_len: int | None = None,
    shuffle_seed: int | None = None,
) -> Rows:
    """The config's `dataset`. All rows are rendered before training starts, so that a bad one is found at once.

    Raises:
        DataError: the file or the split cannot be read.
        RenderError: rows that cannot be rendered, or are longer than max_seq_len or the model's context length; all, up to a limit.
    """
    found = read_split(path, split, input_column, output_column)
    rendered, refused = [], []
    for number, row in enumerate(found):
        try:
            rendered.append(_render(tokenizer.renderer, row, max_seq_len))
        except RenderError as error:
            refused.append(f"{split} row {number} {error}")
    if refused:
        raise RenderError(refused_rows(path, refused))
    order = list(range(len(found)))
    if shuffle_seed is not None:
        random.Random(shuffle_seed).shuffle(order)  # noqa: S311 an order, not a secret
    return Rows([found[i] for i in order], [rendered[i] for i in order])


def read_split(path: str, split: str, input_column: str, output_column: str) -> list[Row]:
    """The rows of one split, in file order.

    Raises:
        DataError: no such file or split, or rows that cannot be read.
    """
    file = Path(path)
    try:
        splits = parse_rows(file.read_bytes(), suffix=file.suffix, input_column=input_column, output_column=output_column)
    except (OSError, DataError) as error:
        raise DataError(f"{path}: {error}") from error
    if split not in splits:
        raise DataError(f"{path}: there is no split {split!r} (splits: {', '.join(splits)})")
    return splits[split]


def _render(renderer: Renderer, row: Row, max_seq_len: int | None) -> Tokens:
    try:
        tokens = renderer.tokens(row)
    except RenderError as error:
        raise RenderError(f"cannot be rendered: {error}") from error
    most = renderer.context_length
    limits = ((max_seq_len, f"max_seq_len {max_seq_len}"), (most, f"the model's context length ({most} tokens)"))
    for limit, name in limits:
        if limit is not None and len(tokens.tokens) > limit:
            raise RenderError(f"has {len(tokens.tokens)} tokens, more than {name}: {short(row.input)}")
    return tokens


def constant_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_training_steps: int = 0,  # noqa: ARG001 recipes give it to every schedule
    last_epoch: int = -1,
) -> Any:
    """The config's `lr_scheduler: constant`: linear from 0 over `num_warmup_steps`, then the learning rate itself."""
    return LambdaLR(optimizer, lambda step: min(1.0, step / num_warmup_steps) if num_warmup_steps else 1.0, last_epoch)
