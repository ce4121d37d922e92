"""What follows from a run's settings: runs that are compared may differ in it though nobody meant it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ckgit.experiment.design.parameters import BASE_RECIPE
from ckgit.experiment.design.plan import Run, Source
from ckgit.experiment.estimates.guess import Fact
from ckgit.experiment.worker import Context
from ckgit.formats.listing import plural
from ckgit.formats.numbers import short_value
from ckgit.workers.training.design.counted import processes

SCALE, STEPS, STEP_ROWS, SEEN = "lora_alpha/lora_rank", "optimizer steps", "rows of an optimizer step", "rows seen in training"
LENGTH = "length of training"
_DROPPED = "an incomplete batch is dropped, and {} cuts an epoch at steps, not at rows"
_BATCH = {"batch_size", "gradient_accumulation_steps", "packing_length"}
_NEAR = 0.1  # share by which rows seen may differ: an incomplete batch is dropped


class Seen(NamedTuple):
    """What a training comes to."""

    steps: int
    rows: int  # each as often as it is trained on


def facts(context: Context, run: Run, seen: Seen | None, *, cut: str = "") -> Iterator[Fact]:
    """What can be told here. That a base recipe brings more than one thing is said by itself.

    Args:
        seen: None where the rows were not counted.
        cut: the parameter that ends each epoch sooner, of a tool that has one.
    """
    cuts = {cut} if cut else set[str]()
    if run["method"] != "full" and run["lora_rank"]:
        scale = round(run["lora_alpha"] / run["lora_rank"], 9)
        # where alpha is varied beside the rank, there are pairs of one scale
        causes = frozenset({"lora_alpha", "method", BASE_RECIPE} if "lora_alpha" not in context.summary.variables else ())
        yield Fact(SCALE, scale, causes, _why_scaled(run), frozenset({"lora_alpha"}), "lora_alpha")
    length = (run["epochs"], run[cut])
    yield Fact(LENGTH, length, instead_of=frozenset({"epochs", *cuts}), said=LENGTH)
    rows = run["batch_size"] * run["gradient_accumulation_steps"] * processes(context, run)
    of_sequences = f"{plural(rows, 'sequence')} of {run['packing_length']:,} tokens" if run["packing_length"] else rows
    sizes = "their splits are not of one size" + (f"; {cut} can make the steps equal" if cut else "")
    yield Fact(STEP_ROWS, of_sequences, frozenset({*_BATCH, BASE_RECIPE}), sizes)
    if seen:
        causes = frozenset({*_BATCH, *cuts, "epochs", "max_samples", BASE_RECIPE})
        yield Fact(STEPS, seen.steps, causes, sizes, frozenset(cuts), follows=STEP_ROWS, steps_about=bool(run["packing_length"]))
        apart = frozenset({*cuts, "epochs", "data", "train_split", "max_samples", BASE_RECIPE})
        yield Fact(SEEN, seen.rows, apart, _DROPPED.format(cut) if cut else "", near=_NEAR)


def _why_scaled(run: Run) -> str:
    alpha = run.settings["lora_alpha"]
    source = f" (base_recipe {run[BASE_RECIPE]} gives it)" if alpha.source is Source.RECIPE else ""
    remedy = "to compare ranks alone, write the runs out, each with a lora_alpha that goes with its lora_rank"
    return f"lora_alpha is {short_value(alpha.value)} in each{source}, and the LoRA update is scaled by lora_alpha/lora_rank; {remedy}"
