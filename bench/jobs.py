"""What ckgit adds to a job: a training job beside the bare `tune run` of its config, an evaluation job beside the bare `inspect eval`.

Both are of the quickstart, whose jobs are as short as any: a job of hours costs the same more.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.measure import Row, Used, run, timed
from ckgit.jobs.script import OFFLINE
from ckgit.lab.lab import open_lab
from ckgit.lab.snapshot import take_snapshot
from ckgit.workers.torchtune.config import LORA

TIMES = 3
NAME = "quickstart"


def rows(folder: Path) -> Iterator[Row]:
    """A training and an evaluation, in turn with their floors."""
    lab = folder / "lab"
    os.environ.update(_environment(folder))
    command = [sys.executable, "-m", "ckgit", "quickstart", str(lab)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ledger = take_snapshot(open_lab(lab), NAME).ledger()
    if ledger is None:
        raise RuntimeError("the quickstart left no ledger")
    work = Path(ledger.work_tree)
    training = min(work.glob(f"experiments/{NAME}/*/finetune.slurm")).parent.relative_to(work)
    yield _pair(work, "a training job", training / "finetune.slurm", _tune(training), training / "artifacts")
    cell = min((work / training).glob("eval/*.yaml")).relative_to(work)
    bare = ["inspect", "eval", "--run-config", str(cell)]
    yield _pair(work, "an evaluation job", cell.with_suffix(".slurm"), bare, cell.parent / "logs")


def _tune(training: Path) -> list[str]:
    return ["tune", "run", LORA, "--config", str(training / "finetune.yaml")]


def _pair(work: Path, operation: str, script: Path, floor: Sequence[str], outputs: Path) -> Row:
    used: list[Used] = []
    bare: list[float] = []
    for _ in range(TIMES):
        shutil.rmtree(work / outputs, ignore_errors=True)  # what is complete is not made again
        bare += timed(lambda: run(floor, cwd=work), 1)
        shutil.rmtree(work / outputs, ignore_errors=True)
        os.environ["CKGIT_JOB"] = f"bench-{uuid.uuid4().hex[:8]}"
        used.append(run(["bash", str(script)], cwd=work))
    return Row(operation, used, bare, " ".join(floor[:2]), "1.15 times")


def _environment(folder: Path) -> dict[str, str]:
    """What a job and its bare command both have: this Python's programs, one thread, and no network."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    threads = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    return {**os.environ, **threads, **dict.fromkeys(OFFLINE, "1"), "PATH": path, "TMPDIR": str(folder)}
