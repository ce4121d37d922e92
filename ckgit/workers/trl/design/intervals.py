"""What is too long for a training of so many steps: an interval without a line, a measurement that never comes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ckgit.workers.training.design.counted import warmup_of
from ckgit.workers.trl.design.steps import RowSteps

Get = Callable[[str], Any]  # the value of a parameter; None where it has none


def too_long(get: Get, divided: RowSteps, *, at_most: bool = False) -> Iterator[tuple[str, str]]:
    """What does not fit into a training, with the parameter that says it.

    Args:
        at_most: whether there may be fewer steps.
    """
    total, interval = divided.total, get("log_every_n_steps")
    steps = f"{'at most ' if at_most else ''}{total} steps"
    if interval > total:
        yield "log_every_n_steps", f"log_every_n_steps is {interval}, but training takes {steps}: its log would hold no loss"
    warmup, decay = warmup_of(get, total), get("num_decay_steps")
    if decay is not None and warmup + decay > total:  # it would begin in the midst of its fall
        longer = f"is more than the {steps} of the training; write fewer"
        yield "num_decay_steps", f"num_decay_steps {decay} with a warm-up of {warmup} {longer}"
    if get("validation_split"):
        yield from _too_seldom(get, divided, at_most=at_most)


def _too_seldom(get: Get, divided: RowSteps, *, at_most: bool) -> Iterator[tuple[str, str]]:
    """Trainings in which the validation loss is measured too seldom."""
    total, patience = divided.total, get("early_stopping_patience")
    every = get("validate_every_n_steps") or divided.per_epoch
    limit = "at most " if at_most else ""
    measured = f"there are {limit}{total // every} measurements"
    if every > total:
        text = f"validate_every_n_steps is {every}, but training takes {limit}{total} steps: nothing would be measured"
        yield "validate_every_n_steps", text
    elif patience and patience >= total // every:
        yield "early_stopping_patience", f"early_stopping_patience is {patience}, but {measured}: training could never stop early"
    waits = get("plateau_patience")
    if waits is not None and every * (waits + 2) >= total:  # the first one is the lowest until then, and after the last no step follows
        yield "plateau_patience", f"plateau_patience is {waits}, but {measured}: the rate could never fall"
