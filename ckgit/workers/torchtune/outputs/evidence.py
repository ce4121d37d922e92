"""What the files of a training of torchtune say of it, for the judge of all trainings."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from ckgit.experiment.design.plan import Run
from ckgit.experiment.worker import Context
from ckgit.workers.torchtune.config import LOG_NAME
from ckgit.workers.torchtune.design.steps import planned_steps
from ckgit.workers.torchtune.outputs.logs import loss_points
from ckgit.workers.torchtune.outputs.resume import RESUMED
from ckgit.workers.training.outputs.evidence import Trainer, read_record
from ckgit.workers.training.outputs.logs import logged_steps, tokens_seen


def told(context: Context, run: Run, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Fields of its result.

    Args:
        files: its records, by name.

    Raises:
        ValueError: they cannot be read, or are not of the training that was planned.
    """
    losses = loss_points(io.BytesIO(files[LOG_NAME]))
    steps = logged_steps(run, LOG_NAME, losses, planned_steps(context, run))
    return {
        "steps": steps,
        "tokens_seen": tokens_seen(losses, steps),
        "final_loss": losses[-1].loss,
        "losses": tuple(losses),
        "resumed": read_record(run, RESUMED, TypeAdapter(tuple[int, ...]), files.get(RESUMED, b"[]")),
    }


TRAINER = Trainer(log=LOG_NAME, further=(RESUMED,), told=told)
