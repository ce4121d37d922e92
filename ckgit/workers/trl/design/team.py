"""The processes that train together: as many as GPUs are asked for, alike on each node. Pure."""

from __future__ import annotations

from typing import NamedTuple

from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import Run, resources
from ckgit.experiment.worker import Context

FSDP = "fsdp"  # of the parameter `sharding`


class Team(NamedTuple):
    """How many processes, on how many nodes."""

    processes: int = 1
    nodes: int = 1

    @classmethod
    def of(cls, context: Context, run: Run) -> Team:
        """Those of a run."""
        wanted = resources(context.summary, run, Stage.TRAINING, context.cluster.training)
        return cls(max(1, wanted.gpus or 1), wanted.nodes or 1)

    @property
    def on_each_node(self) -> int:
        """Processes of a node."""
        return self.processes // self.nodes
