"""What a training's logs have in common: they are read in part where they are long, and tokens are summed over their lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ckgit.experiment.design.plan import Run
from ckgit.experiment.results import LossPoint

TOKENS = "tokens"  # trained on since the line before, where the tool counts them
MOST_OUTPUT = 1_000_000  # bytes of a job's output that are kept; the middle of a longer one is left out


def logged_steps(run: Run, log: str, losses: Sequence[LossPoint], planned: int | None) -> int:
    """Optimizer steps of a training.

    Args:
        log: the name of the file that the losses are from.
        planned: None where the rows were not counted, and the log alone tells.

    Raises:
        ValueError: the log has not a line for each step that was to have one.
    """
    if not losses:
        raise ValueError(f"run {run.name}: {log} holds no loss")
    if planned is None:
        return losses[-1].step
    every = run["log_every_n_steps"]
    expected = list(range(every, planned + 1, every))
    if [point.step for point in losses] != expected:
        raise ValueError(
            f"run {run.name}: {log} shows {len(losses)} losses up to step {losses[-1].step}; "
            f"{len(expected)} up to step {expected[-1] if expected else 0} were planned"
        )
    return planned


def tokens_seen(points: Sequence[LossPoint], steps: int) -> int | None:
    """Tokens that a training of so many steps was trained on; None where not each step is in a line that counts them."""
    if not points or points[-1].step != steps or any(TOKENS not in point.metrics for point in points):
        return None
    return round(math.fsum(point.metrics[TOKENS] for point in points))


def read_bounded(path: Path, most: int = MOST_OUTPUT) -> bytes | None:
    """A file's bytes, without the middle when it is longer than `most`; None when there is no such file."""
    if not path.is_file():
        return None
    size = path.stat().st_size
    with path.open("rb") as stream:
        if size <= most:
            return stream.read()
        head = stream.read(most // 2)
        stream.seek(size - most // 2)
        return head + f"\n[ckgit: {size - 2 * (most // 2)} bytes left out]\n".encode() + stream.read()
