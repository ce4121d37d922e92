"""Runs of W&B that jobs have written offline and nobody has sent yet: they are nowhere else, and nothing makes them again."""

from __future__ import annotations

import shlex
from pathlib import Path

from ckgit.formats.listing import plural


def unsent_runs(folder: Path) -> list[Path]:
    """Those anywhere in a folder, links not followed; `wandb sync` leaves a mark beside what it has sent."""
    runs = (run for run in sorted(folder.rglob("offline-run-*")) if run.is_dir() and any(run.glob("*.wandb")))
    return [run for run in runs if not any(run.glob("*.wandb.synced"))]


def why_they_stay(runs: list[Path]) -> str:
    """Why the folder that holds some stays, and what is to be done about it."""
    them, one = ("is", "it") if len(runs) == 1 else ("are", "one")
    how = f"wandb sync {shlex.quote(str(runs[0]))} sends {one}; what nobody wants is removed by hand"
    return f"{plural(len(runs), 'offline run')} of W&B that {them} not sent yet: {how}"
