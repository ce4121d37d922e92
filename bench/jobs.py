"""What ckgit adds to a job: a training job beside the bare `tune run` or `trl sft` of its config, an evaluation beside `inspect eval`.

All are of the quickstart, whose jobs are as short as any: a job of hours costs the same more. And what verification takes to read logs.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.measure import Row, Used, run, timed
from ckgit.experiment.jobs import Ledger
from ckgit.jobs.script import OFFLINE
from ckgit.lab.context import load_context
from ckgit.lab.lab import open_lab
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.engine.plugins import evaluation_for
from ckgit.workers.torchtune.config import LORA
from ckgit.workers.training.scaffold import ROWS
from ckgit.workers.trl.config import ALONE

TIMES = 3
CELLS = 500
NAME = "quickstart"


def rows(folder: Path) -> Iterator[Row]:
    """A training and an evaluation, in turn with their floors."""
    os.environ.update(_environment(folder))
    lab, ledger, work, training = _trained(folder, "torchtune")
    yield _pair(work, "a training job", training / "finetune.slurm", _tune(training), training / "artifacts")
    cell = min((work / training).glob("eval/*.slurm")).relative_to(work).with_suffix(".yaml")
    bare = ["inspect", "eval", "--run-config", str(cell)]
    yield _reading(lab, ledger)
    yield _pair(work, "an evaluation job", cell.with_suffix(".slurm"), bare, cell.parent / "logs")
    *_, work, training = _trained(folder, "trl")
    bare = [sys.executable, "-c", ALONE, "--config", str(training / "finetune.yaml")]
    kept = training / "artifacts" / ROWS  # the command does not make them
    row = _pair(work, "a training job with TRL", training / "finetune.slurm", bare, training / "artifacts", kept)
    yield row._replace(floor_is="trl sft")


def _trained(folder: Path, trainer: str) -> tuple[Path, Ledger, Path, Path]:
    """The quickstart by a trainer: its lab, ledger and work tree, and in this the folder of a run."""
    lab = folder / f"lab-{trainer}"
    command = [sys.executable, "-m", "ckgit", "quickstart", "--trainer", trainer, str(lab)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ledger = take_snapshot(open_lab(lab), NAME).ledger()
    if ledger is None:
        raise RuntimeError("the quickstart left no ledger")
    work = Path(ledger.work_tree)
    return lab, ledger, work, min(work.glob(f"experiments/{NAME}/*/finetune.slurm")).parent.relative_to(work)


def _reading(lab: Path, ledger: Ledger) -> Row:
    """What verification does with the logs of 500 cells: each is read, held against its cell, and its metrics are computed again."""
    snapshot = take_snapshot(open_lab(lab), NAME)
    context = load_context(open_lab(lab), snapshot, ledger)
    worker = evaluation_for(context.summary)
    job = worker.jobs(context)[0] if worker else None
    attempt = ledger.latest(job.name) if job else None
    if not (worker and job and attempt):
        raise RuntimeError("the quickstart has no evaluation")
    files = snapshot.read_many(snapshot.list(context.run_folder(job.run)))
    logs = [content for path, content in files.items() if path.endswith(".eval")]

    def read() -> None:
        for _ in range(CELLS):
            if not worker.results(context, job, attempt, files) or worker.audit(context, job, attempt, files).differences:
                raise RuntimeError("the log does not count")

    def unpack() -> None:
        for _ in range(CELLS):
            with zipfile.ZipFile(io.BytesIO(logs[0])) as archive:
                any(archive.read(name) == b"" for name in archive.namelist())

    seconds = timed(read, 1)
    note = f"{len(snapshot.summary.summary.evaluation.tasks)} task, {len(logs[0]):,} bytes a log"
    return Row(f"verify: {CELLS} logs", [Used(seconds[0], 0)], timed(unpack, 1), "zipfile", "30 s", note)


def _tune(training: Path) -> list[str]:
    return ["tune", "run", LORA, "--config", str(training / "finetune.yaml")]


def _pair(work: Path, operation: str, script: Path, floor: Sequence[str], outputs: Path, kept: Path | None = None) -> Row:
    """A job in turn with its floor.

    Args:
        kept: what of the job's outputs its floor reads.
    """
    used: list[Used] = []
    bare: list[float] = []
    for _ in range(TIMES):
        _clear(work / outputs, work / kept if kept else None)
        bare += timed(lambda: run(floor, cwd=work), 1)
        shutil.rmtree(work / outputs, ignore_errors=True)
        os.environ["CKGIT_JOB"] = f"bench-{uuid.uuid4().hex[:8]}"
        used.append(run(["bash", str(script)], cwd=work))
    return Row(operation, used, bare, " ".join(floor[:2]), "1.15 times")


def _clear(outputs: Path, kept: Path | None) -> None:
    """What is complete is not made again, so it is taken away."""
    if kept is None:
        shutil.rmtree(outputs, ignore_errors=True)
        return
    for path in outputs.iterdir():
        if path != kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _environment(folder: Path) -> dict[str, str]:
    """What a job and its bare command both have: this Python's programs, one thread, and no network."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    threads = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    return {**os.environ, **threads, **dict.fromkeys(OFFLINE, "1"), "PATH": path, "TMPDIR": str(folder)}
