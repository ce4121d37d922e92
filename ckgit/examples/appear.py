"""A model that took minutes to make gets its place whole, or not at all."""

from __future__ import annotations

from pathlib import Path


def appear(made: Path, destination: Path) -> None:
    """Move a folder to its place. Where a second process, which makes the same, was faster, its folder stays.

    Raises:
        OSError: the folder cannot be moved, and there is none.
    """
    try:
        made.rename(destination)
    except OSError:
        if not destination.is_dir():
            raise
