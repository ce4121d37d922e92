"""Has torchrun start the processes that train together, and tells how they ended. Imported in training jobs only."""

from __future__ import annotations

import os
from pathlib import Path

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from ckgit.workers import rank as one_of_several
from ckgit.workers.trl.design.world import World

FIRST_NODE = 0
WAIT = 24 * 3600  # seconds that another node waits for the first one, which renders the rows; the job's time limit is shorter


def node_number() -> int:
    """This node's among those of the job."""
    return int(os.environ.get("SLURM_NODEID", FIRST_NODE))


def together(script: Path, folder: Path, world: World) -> int:
    """Run a script for one run in all processes of this node; the exit code of the one that failed first, and 0 for none."""
    words = [f"--nproc-per-node={world.nproc_per_node}", "--max-restarts=0", *_meeting(world), one_of_several.__file__, str(script)]
    try:
        run(parse_args([*words, str(folder)]))
    except ChildFailedError as failed:
        code = int(failed.get_first_failure()[1].exitcode)
        return code if code > 0 else 128 - code  # of a signal, as bash reports it
    return 0


def _meeting(world: World) -> list[str]:
    """Where they meet: here, or where the job's script says."""
    if world.nodes == 1:
        return ["--standalone"]
    first = [f"--master-addr={os.environ['MASTER_ADDR']}", f"--master-port={os.environ['MASTER_PORT']}"]
    return [f"--nnodes={world.nodes}", f"--node-rank={node_number()}", *first, f"--rdzv-conf=timeout={WAIT}"]
