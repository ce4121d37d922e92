"""What cannot be trained on packed rows, or would not be trained as on rows by themselves."""

from __future__ import annotations

from collections.abc import Iterator

from ckgit.experiment.design.plan import Run
from ckgit.experiment.worker import Context
from ckgit.formats.problem import Problem
from ckgit.workers.training.check import about
from ckgit.workers.training.design.parameters import DPO
from ckgit.workers.trl.design.parameters import OWN

NOISE = f"{OWN}neftune_noise_alpha"


def packing_problems(context: Context, run: Run) -> Iterator[Problem]:
    """Of a run whose rows are packed."""
    refused = {
        "objective: dpo": (run["objective"] == DPO, "TRL packs answers, and a preference is two of them that are compared row by row"),
        f"sharding: {run['sharding']}": (
            run["sharding"],
            "before the first step each job tries whether packed rows see each other, and no process has the whole model to try it with",
        ),
        "compile: true": (
            run["compile"],
            "whether packed rows see each other is tried with the model as it is, and not with what is compiled",
        ),
        NOISE: (run[NOISE], "its noise is scaled by the length of a row, which would be that of a sequence"),
    }
    for what, (is_so, why) in refused.items():
        if is_so:
            sentence = f"run {run.name}: packing_length does not go with {what}: {why}; leave one of them out"
            yield about(context, run, "packing_length", sentence)
