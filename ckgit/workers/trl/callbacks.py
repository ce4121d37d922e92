"""What a training with TRL does at each step beside training: it is written down, saved, and ended where it is to end.

Imported in training jobs only, where torchao is hidden.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from transformers import TrainerCallback

from ckgit.experiment.results import ACCURACIES, CHOSEN, MARGINS, REJECTED
from ckgit.workers.trl.distributed.checks import of_first
from ckgit.workers.trl.outputs.kept import Keeping
from ckgit.workers.trl.outputs.log import LOG_NAME, READ, VALIDATION_LOG, measured
from ckgit.workers.trl.outputs.state import keep

# Our names for TRL's, in the lines of the two logs; those of rewards are in no log of answers.
_REWARDS = {name: name for name in (MARGINS, ACCURACIES, CHOSEN, REJECTED)}
_MEASURED = {"mean_token_accuracy": "accuracy", **_REWARDS}
_TRAINED = {"loss": "loss", "learning_rate": "lr", "grad_norm": "grad_norm", "tokens": "tokens", READ: READ, **_MEASURED}
_HELD_OUT = {"eval_loss": "loss", **{f"eval_{theirs}": ours for theirs, ours in _MEASURED.items()}}


class Saving(NamedTuple):
    """How a training saves what it goes on from when it is cut short."""

    made_from: str
    keeping: Keeping
    every: int | None  # steps; None for the end of each epoch


class NotFiniteError(Exception):
    """A loss or a weight is no number; the message says where."""


class Recorder(TrainerCallback):
    """A line of JSON for each line of the log, in full precision, by the first process.

    It ends a training whose loss is no number: TRL would go on.
    """

    def __init__(self, artifacts: Path) -> None:
        self.artifacts = artifacts

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any], **kwargs: Any) -> None:  # noqa: ARG002 - as it is called
        """Write the line down."""
        for kind, file, names in (("loss", LOG_NAME, _TRAINED), ("eval_loss", VALIDATION_LOG, _HELD_OUT)):
            if kind in logs:
                point = {"step": state.global_step, **{ours: logs[theirs] for theirs, ours in names.items() if theirs in logs}}
                if state.is_world_process_zero:
                    with (self.artifacts / file).open("a", encoding="utf-8") as lines:
                        lines.write(json.dumps(point) + "\n")
                _refuse_not_finite(point)


def _refuse_not_finite(point: Mapping[str, Any]) -> None:
    for name in ("loss", "grad_norm"):
        if not math.isfinite(point.get(name, 0.0)):
            raise NotFiniteError(f"the {name} is {point[name]} at step {point['step']}; try a lower lr")


class Saver(TrainerCallback):
    """Has TRL save at more steps than the ends of epochs, and stop where patience is exhausted; writes down what it saved.

    A state is of a step at which the log has a line: what is counted between two lines is not saved.
    """

    def __init__(self, artifacts: Path, saving: Saving) -> None:
        self.artifacts, self.saving = artifacts, saving

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002 - as it is called
        """Ask for a state; at the end of an epoch TRL saves one by itself."""
        step = state.global_step
        due = self.saving.every and step % self.saving.every == 0 and step % self.saving.keeping.per_epoch
        if due and step % args.logging_steps == 0:
            control.should_save = True

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002 - as it is called
        """Ask for what is the best until now, and for the end; the loss stands in the log by now."""
        validation, keeping = of_first(measured(self.artifacts)), self.saving.keeping
        control.should_training_stop = control.should_training_stop or keeping.stops(validation) is not None
        best = any(each.best and each.step == state.global_step for each in keeping.kept(validation, state.global_step))
        if state.global_step % keeping.per_epoch and (best or control.should_training_stop):
            control.should_save = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002 - as it is called
        """Where a training stops inside an epoch, its last step was saved when it was measured."""
        if state.global_step % self.saving.keeping.per_epoch:
            control.should_save = False

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002 - as it is called
        """Have the training go on from here."""
        every, step = int(args.logging_steps), state.global_step
        validation = of_first(measured(self.artifacts))  # by then each process has saved its file
        if state.is_world_process_zero and step % every == 0:
            others = [each.step for each in self.saving.keeping.kept(validation, step) if each.step < step]
            keep(self.artifacts, self.saving.made_from, step, log_every=every, others=others)
