"""Several processes train together, or none does: what they were to be is held against what they are. Imported in training jobs only."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from accelerate.utils import DistributedType

from ckgit.workers.trl.design.world import FSDP

T = TypeVar("T")


class NotTogetherError(Exception):
    """Other processes train, or the model is shared otherwise, than was planned; the message says how."""


def check_together(trainer: Any, processes: int, sharding: str | None) -> None:
    """Compare the processes of a trainer with those that were planned, before the first step.

    Raises:
        NotTogetherError: they are others. A launcher may start one process of several, and FSDP on a CPU is none, without a word.
    """
    there = trainer.accelerator
    if there.num_processes != processes:
        raise NotTogetherError(f"{processes} {_processes(processes)} to train together, and {there.num_processes} did start")
    if sharding == FSDP and there.distributed_type is not DistributedType.FSDP:
        kind = there.distributed_type.value
        raise NotTogetherError(f"sharding: {FSDP} was to share the model among {processes} processes, and accelerate trains by {kind}")


def _processes(number: int) -> str:
    return "process was" if number == 1 else "processes were"


def gathered(mine: T) -> list[T]:
    """What each process has, by rank."""
    if not torch.distributed.is_initialized():
        return [mine]
    found: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(found, mine)
    return found


def of_first(mine: T) -> T:
    """What the first process has, once all are here: it writes the logs, which others may not see yet."""
    return gathered(mine)[0]
