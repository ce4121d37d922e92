"""Preferences as tokens: a prompt with the answer that was chosen, and with the one that was rejected."""

from __future__ import annotations

import json
from typing import NamedTuple

from ckgit.formats.rows import Row
from ckgit.workers.rendering import IGNORED, Renderer, RenderError, Tokens, short
from ckgit.workers.training.rows import render


class Pair(NamedTuple):
    """A preference for training. Both have the same prefix."""

    chosen: Tokens
    rejected: Tokens

    def line(self) -> str:
        """As TRL's trainer takes it."""
        before = sum(1 for label in self.chosen.labels if label == IGNORED)
        answers = {"chosen_ids": self.chosen.tokens[before:], "rejected_ids": self.rejected.tokens[before:]}
        return json.dumps({"prompt_ids": self.chosen.tokens[:before], **answers})


def render_pair(renderer: Renderer, row: Row, max_seq_len: int | None) -> Pair:
    """Both answers with their prompt; neither is cut.

    Raises:
        RenderError: there is one answer only, one cannot be rendered or is too long, or both come to the same tokens.
    """
    if row.rejected is None:
        raise RenderError(f"has no rejected answer: {short(row.input)}")
    chosen = render(renderer, row, max_seq_len)
    try:
        rejected = render(renderer, row._replace(output=row.rejected), max_seq_len)
    except RenderError as error:
        raise RenderError(f"with its rejected answer {error}") from None
    if chosen == rejected:
        raise RenderError(f"has two answers that come to the same tokens: {short(row.input)}")
    return Pair(chosen, rejected)
