"""Rows that are packed: each must fit into a sequence as it is, since TRL would cut a longer one without a word."""

from __future__ import annotations

from ckgit.formats.rows import Row
from ckgit.workers.rendering import Renderer, RenderError, Tokens, short
from ckgit.workers.training.rows import render


def render_whole(packing_length: int, renderer: Renderer, row: Row, max_seq_len: int | None) -> Tokens:
    """As `render` does.

    Raises:
        RenderError: as there, or the row is longer than a sequence.
    """
    tokens = render(renderer, row, max_seq_len)
    if len(tokens.tokens) > packing_length:
        raise RenderError(f"has {len(tokens.tokens)} tokens, more than packing_length {packing_length}: {short(row.input)}")
    return tokens
