"""What makes a training on preferences impossible, or another one than was meant."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from ckgit.experiment.design.plan import Run, Source
from ckgit.experiment.worker import Context
from ckgit.formats.problem import Problem
from ckgit.workers.training.check import about
from ckgit.workers.training.design.counted import processes
from ckgit.workers.trl.design.steps import uneven

USUAL = "1e-6 to 5e-5"  # learning rates of DPO with full fine-tuning, and with LoRA (TRL's own default is 1e-6)


def preference_problems(context: Context, run: Run) -> Iterator[Problem]:
    """Of a run whose objective is DPO."""
    if processes(context, run) > 1:
        what = "dpo trains on one device here: that several come to the same was not shown"
        yield Problem(f"run {run.name}: {what}; write compute.training.gpus: 1", "compute.training.gpus")
    if run["lora_dropout"]:
        why = "rewards are differences from a reference without dropout, and TRL would leave it out without a word"
        yield about(context, run, "lora_dropout", f"run {run.name}: lora_dropout has no place in dpo: {why}; leave it out")
    if run.settings["lr"].source is Source.DEFAULT:
        usual = f"lr is ckgit's default of {run['lr']:g}, made for answers; dpo is mostly trained at {USUAL}"
        yield dataclasses.replace(about(context, run, "lr", f"run {run.name}: {usual}"), warning=True)
    if rest := uneven(context, run):
        sizes = f"the last step of an epoch has {rest.rows} pairs in batches of {rest.batch} and a rest, and TRL counts batches alike"
        what = "so those of the rest weigh more; a batch_size that divides the rows does not do that"
        yield dataclasses.replace(about(context, run, "batch_size", f"run {run.name}: {sizes}, {what}"), warning=True)
