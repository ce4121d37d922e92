"""Counting tokens where a design is made: with the model folder's own tokenizer, and without torch or transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

FILE = "tokenizer.json"


def token_counter(model_folder: Path) -> Callable[[str], int] | None:
    """Counts the tokens of a text by itself, without special tokens; None where nothing here can read the folder's tokenizer."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return None
    try:
        tokenizer = Tokenizer.from_file(str(model_folder / FILE))
        tokenizer.no_truncation()
        tokenizer.no_padding()
    except Exception:  # noqa: BLE001 - whatever the library raises at a file that it cannot read: the job says what is wrong with it
        return None
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
