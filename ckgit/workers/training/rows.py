"""The rows of a training, rendered before it starts, so that a bad one is found at once. Not cut: one that is too long is an error."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import TypeVar

from ckgit.formats.rows import Row, subset
from ckgit.workers.data import read_split
from ckgit.workers.rendering import IGNORED, Renderer, RenderError, Tokens, refused_rows, short

T = TypeVar("T")


def render(renderer: Renderer, row: Row, max_seq_len: int | None) -> Tokens:
    """A row's tokens.

    Raises:
        RenderError: it cannot be rendered, has nothing to train on, or is longer than max_seq_len or the model's context length.
    """
    try:
        tokens = renderer.tokens(row)
    except RenderError as error:
        raise RenderError(f"cannot be rendered: {error}") from error
    if all(label == IGNORED for label in tokens.labels):
        raise RenderError(f"has no token to train on: {short(row.input)}")
    most = renderer.context_length
    limits = ((max_seq_len, f"max_seq_len {max_seq_len}"), (most, f"the model's context length ({most} tokens)"))
    for limit, name in limits:
        if limit is not None and len(tokens.tokens) > limit:
            raise RenderError(f"has {len(tokens.tokens)} tokens, more than {name}: {short(row.input)}")
    return tokens


def rendered_rows(
    renderer: Renderer,
    path: str,
    split: str,
    columns: Mapping[str, str],
    *,
    max_seq_len: int | None,
    shuffle_seed: int | None,
    max_samples: int | None,
    made: Callable[[Renderer, Row, int | None], T],
) -> list[tuple[Row, T]]:
    """The rows of a split with their tokens. Of more than `max_samples` rows only so many are taken, see `subset`.

    Args:
        columns: as `read_split` takes them.
        shuffle_seed: brings them into another order; None leaves that of the file.
        made: makes the tokens of a row, and refuses one that cannot be trained on.

    Raises:
        DataError: the file or the split cannot be read.
        RenderError: rows that cannot be rendered, or are longer than max_seq_len or the model's context length; all, up to a limit.
    """
    found = subset(read_split(path, split, **columns), max_samples)
    rendered, refused = list[tuple[Row, T]](), list[str]()
    for number, row in enumerate(found):
        try:
            rendered.append((row, made(renderer, row, max_seq_len)))
        except RenderError as error:
            refused.append(f"{split} row {number} {error}")
    if refused:
        raise RenderError(refused_rows(path, refused))
    if shuffle_seed is not None:
        order = list(range(len(found)))
        random.Random(shuffle_seed).shuffle(order)  # noqa: S311 an order, not a secret
        rendered = [rendered[i] for i in order]
    return rendered
