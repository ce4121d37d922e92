"""Texts that are too long for a document: their beginning, with what tells the whole. Pure."""

from __future__ import annotations

import hashlib
from typing import overload

LONGEST = 4_000  # characters of a text that is left as it is
KEPT = 1_000  # of a longer one


@overload
def cut(text: str) -> str: ...
@overload
def cut(text: None) -> None: ...
def cut(text: str | None) -> str | None:
    """A text as it is, or of a long one the beginning, how long it is, and the SHA-256 of all of it.

    Two texts are the same where these are. What is cut already stays so.
    """
    if text is None or len(text) <= LONGEST:
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return f"{text[:KEPT]}… ({len(text):,} characters in all, SHA-256 {digest})"
