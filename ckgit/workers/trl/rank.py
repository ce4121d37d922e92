"""One of several processes that train together. torchrun starts it by its path: `rank.py experiments/NAME/RUN`."""

from __future__ import annotations

import sys
from pathlib import Path

from ckgit.workers.trl.scaffold import HIDDEN


def main(folder: Path) -> int:
    """Train one run; the exit code."""
    for module in HIDDEN:
        sys.modules[module] = None  # type: ignore[assignment]  # as `ckgit.workers.job` has it
    from ckgit.workers.trl.outputs.state import kept_step
    from ckgit.workers.trl.train import refused, take_steps

    return refused(lambda: take_steps(folder, kept_step(folder / "artifacts")))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
