"""The processes that train together: as many as GPUs are asked for, alike on each node. Pure."""

from __future__ import annotations

from typing import NamedTuple

from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import Run, resources
from ckgit.experiment.worker import Context

FSDP = "fsdp"  # of the parameter `sharding`


class World(NamedTuple):
    """How many processes (their number is the world size of torch.distributed), on how many nodes."""

    processes: int = 1
    nodes: int = 1

    @classmethod
    def of(cls, context: Context, run: Run) -> World:
        """Those of a run."""
        wanted = resources(context.summary, run, Stage.TRAINING, context.cluster.training)
        return cls(max(1, wanted.gpus or 1), wanted.nodes or 1)

    @property
    def nproc_per_node(self) -> int:
        """Processes of a node, as torchrun calls them."""
        return self.processes // self.nodes
