"""How an orchestrator speaks to whoever started it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Talk(Protocol):
    """Takes what is worth knowing while it happens; results are returned, not said."""

    def say(self, text: str) -> None:
        """A line to keep."""

    def progress(self, lines: Sequence[str]) -> None:
        """What the running jobs do now; takes the place of the lines before. Empty when nothing runs."""


class Silent:
    """Takes everything and shows nothing."""

    def say(self, text: str) -> None:
        """Drop a line."""

    def progress(self, lines: Sequence[str]) -> None:
        """Drop progress."""
