"""How an orchestrator speaks to whoever started it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol


class Talk(Protocol):
    """Takes what is worth knowing while it happens; results are returned, not said."""

    def say(self, text: str) -> None:
        """A line to keep."""

    def progress(self, lines: Callable[[], Sequence[str]] | None) -> None:
        """What the running jobs do now, in place of the lines before; None when it is over. Only called where it is shown."""


class Silent:
    """Takes everything and shows nothing."""

    def say(self, text: str) -> None:
        """Drop a line."""

    def progress(self, lines: Callable[[], Sequence[str]] | None) -> None:
        """Drop progress."""
