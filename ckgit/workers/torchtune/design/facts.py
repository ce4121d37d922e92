"""What follows from a run's settings: runs that are compared may differ in it though nobody meant it."""

from __future__ import annotations

from collections.abc import Iterator

from ckgit.experiment.design.parameters import BASE_RECIPE
from ckgit.experiment.design.plan import Run, Source
from ckgit.experiment.estimates.guess import Fact
from ckgit.experiment.worker import Context
from ckgit.formats.numbers import short_value
from ckgit.workers.torchtune.design.steps import division, processes

SCALE, STEPS, STEP_ROWS, SEEN = "lora_alpha/lora_rank", "optimizer steps", "rows of an optimizer step", "rows seen in training"
LENGTH = "length of training"
_BATCH = {"batch_size", "gradient_accumulation_steps"}
_NEAR = 0.1  # share by which rows seen may differ: an incomplete batch is dropped
_SIZES = "their splits are not of one size; max_steps_per_epoch can make the steps equal"
_DROPPED = "an incomplete batch is dropped, and max_steps_per_epoch cuts an epoch at steps, not at rows"


def facts(context: Context, run: Run) -> Iterator[Fact]:
    """What can be told here. That a base recipe brings more than one thing is said by itself."""
    if run["method"] == "lora" and run["lora_rank"]:
        scale = round(run["lora_alpha"] / run["lora_rank"], 9)
        # where alpha is varied beside the rank, there are pairs of one scale
        causes = frozenset({"lora_alpha", "method", BASE_RECIPE} if "lora_alpha" not in context.summary.variables else ())
        yield Fact(SCALE, scale, causes, _why_scaled(run), frozenset({"lora_alpha"}), "lora_alpha")
    length = (run["epochs"], run["max_steps_per_epoch"])
    yield Fact(LENGTH, length, instead_of=frozenset({"epochs", "max_steps_per_epoch"}), said=LENGTH)
    rows = run["batch_size"] * run["gradient_accumulation_steps"] * processes(context, run)
    yield Fact(STEP_ROWS, rows, frozenset({*_BATCH, BASE_RECIPE}), _SIZES)
    if divided := division(context, run):
        causes = frozenset({*_BATCH, "epochs", "max_steps_per_epoch", BASE_RECIPE})
        yield Fact(STEPS, divided.total, causes, _SIZES, frozenset({"max_steps_per_epoch"}), follows=STEP_ROWS)
        seen = frozenset({"epochs", "max_steps_per_epoch", "data", "train_split", BASE_RECIPE})
        yield Fact(SEEN, divided.total * divided.effective, seen, _DROPPED, near=_NEAR)


def _why_scaled(run: Run) -> str:
    alpha = run.settings["lora_alpha"]
    source = f" (base_recipe {run[BASE_RECIPE]} gives it)" if alpha.source is Source.RECIPE else ""
    remedy = "to compare ranks alone, write the runs out, each with a lora_alpha that goes with its lora_rank"
    return f"lora_alpha is {short_value(alpha.value)} in each{source}, and the LoRA update is scaled by lora_alpha/lora_rank; {remedy}"
