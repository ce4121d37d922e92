"""What is wrong with a text that somebody wrote, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a design. Lines and columns count from 1; 0 is unknown."""

    message: str
    path: str = ""  # dotted place in the front matter, e.g. controls.lr; empty for none
    line: int = 0
    column: int = 0
    warning: bool = False  # whether it may be meant all the same

    def at(self, file: str) -> str:
        """`file:line:column: message`, as editors and compilers write it."""
        return f"{file}:{self.line}:{self.column}: {self.message}"
