"""`ckgit design-experiment`: the original workflow's name of `ckgit design`."""

from __future__ import annotations

from ckgit.cli.design import command

__all__ = ["command"]
