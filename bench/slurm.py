"""`make bench-slurm`: what ckgit costs on a SLURM, beside the bare commands.

Needs a cluster that it may fill, such as that of tests/slurm/cluster; takes about five minutes, most of them asleep.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.labs import MODEL, git, make_lab
from bench.measure import Row, Used, run, table, timed
from bench.operations import CKGIT
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.compute import Resources
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, Phase
from ckgit.experiment.scheduler import JobState, Submission
from ckgit.schedulers.slurm.scheduler import scheduler

JOBS, MANY, REPEAT = 100, 1_000, 3
SMALL = Resources(time="00:05:00", mem="100M")
SITE = Cluster(scheduler="slurm", max_array_size=1_000)
RUNS, TASKS = 8, ("first", "second", "third")
EVALUATION = 5  # seconds that each cell sleeps
TINY = Path(__file__).parent.parent / "tests" / "packages" / "ckgit-tiny" / "ckgit_tiny.py"
PROFILE = """
[clusters.site]
scheduler = "slurm"
work_root = "{work}"
poll_seconds = 1
setup = [
  "export PYTHONPATH='{path}'",
  "case $CKGIT_JOB in *.finetune.*) sleep $((20 + 5 * $(echo $CKGIT_JOB | sed 's/.*rank//; s/[.].*//')));; *) sleep {evaluation};; esac",
]
training = {{time = "00:05:00", mem = "100M"}}
evaluation = {{time = "00:05:00", mem = "100M"}}
"""
DESIGN = """\
schema_version: 1
experiment: {{name: {name}, question: How long does it take?, date: 2026-01-01}}
tools: {{preparation: tiny-trainer, evaluation: tiny-evaluator}}
models: [{model}]
data:
  words: {{path: data/words_5L.json}}
variables: {{lora_rank: {ranks}}}
evaluation:
  tasks: [{tasks}]
"""


def main() -> None:
    """Measure in a temporary folder. The partition takes no job to a node while submissions are measured."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for role in ("AUTHOR", "COMMITTER"):
        os.environ.update({f"GIT_{role}_NAME": "bench", f"GIT_{role}_EMAIL": "bench@localhost"})
    with tempfile.TemporaryDirectory(prefix="ckgit-bench-") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)  # jobs read it
        print(table([*queued(folder), *makespan(folder)]))


def queued(folder: Path) -> Iterator[Row]:
    """Submissions and polls of jobs that stay in the queue."""
    _partition("DOWN")
    try:
        bare = [_bare(folder) for _ in range(REPEAT)]
        one_by_one = [_submit(folder, array=False) for _ in range(REPEAT)]
        array = [_submit(folder, array=True) for _ in range(REPEAT)]
        yield Row(f"submit {JOBS} jobs", one_by_one, bare, f"{JOBS} times sbatch --parsable", "1.2 times")
        yield Row(f"submit {JOBS} jobs as an array", array, bare, f"{JOBS} times sbatch --parsable", "")
        yield _poll(folder)
    finally:
        subprocess.run(["scancel", "--me"], check=True)
        _partition("UP")


def makespan(folder: Path) -> Iterator[Row]:
    """8 runs with 3 cells each, all asleep, on two nodes of four cores: as soon as possible, and stage by stage."""
    lab = make_lab(folder / "lab", files=1, experiments=0)
    path = _site_packages(folder)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(path), str(Path(__file__).parent.parent)])
    weights = lab / "models" / MODEL
    weights.mkdir()
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        (weights / name).write_text("x")
    toml = lab / "ckgit.toml"
    text = toml.read_text().replace('default_cluster = "local"', 'default_cluster = "site"')
    toml.write_text(text + PROFILE.format(work=folder / "work", path=os.environ["PYTHONPATH"], evaluation=EVALUATION))
    git(lab, "commit", "--quiet", "--all", "--message", "A cluster")
    ranks = list(range(1, RUNS + 1))
    critical = [20.0 + 5 * RUNS + EVALUATION]
    for name, options in (("overlapping", []), ("strict", ["--sequential"])):
        file = folder / f"{name}.yaml"
        tasks = ", ".join(f"{{name: {task}, file: tasks/capitalization.py, function: capitalization}}" for task in TASKS)
        file.write_text(DESIGN.format(name=name, model=MODEL, ranks=ranks, tasks=tasks))
        run([*CKGIT, "design", name, "--from", str(file)], cwd=lab)
        run([*CKGIT, "advance", name], cwd=lab)
        used = run([*CKGIT, "advance", name, "--to", "evaluated", *options], cwd=lab)
        yield Row(f"{RUNS} runs, {len(TASKS)} cells each: {name}", [used], critical, "critical path", "1.1 times" if not options else "")


def _site_packages(folder: Path) -> Path:
    """The trainer and evaluator of bash jobs, as an installer leaves them."""
    site = folder / "site"
    info = site / "ckgit_tiny-1.0.dist-info"
    info.mkdir(parents=True)
    shutil.copy(TINY, site)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ckgit-tiny\nVersion: 1.0\n")
    entries = "tiny-trainer = ckgit_tiny:trainer\ntiny-evaluator = ckgit_tiny:evaluator\n"
    (info / "entry_points.txt").write_text(f"[ckgit.workers]\n{entries}")
    return site


def _bare(folder: Path) -> float:
    script = folder / "bare.slurm"
    script.write_text("#!/bin/bash\n#SBATCH --time=00:05:00\n#SBATCH --mem=100M\ntrue\n")

    def loop() -> None:
        for _ in range(JOBS):
            subprocess.run(["sbatch", "--parsable", "--output=/dev/null", script], check=True, capture_output=True)

    [seconds] = timed(loop, 1)
    subprocess.run(["scancel", "--me"], check=True)
    return seconds


def _submit(folder: Path, *, array: bool) -> Used:
    work, submissions, _ = _jobs(folder, JOBS, array=array)
    started = time.perf_counter()
    answers = scheduler.submit(SITE, work, submissions)
    seconds = time.perf_counter() - started
    if any(answer.state is not JobState.QUEUED for answer in answers.values()):
        raise RuntimeError("a job was not accepted")
    subprocess.run(["scancel", "--me"], check=True)
    return Used(seconds, 0)


def _poll(folder: Path) -> Row:
    work, submissions, attempts = _jobs(folder, MANY, array=True)
    scheduler.submit(SITE, work, submissions)
    looks = [scheduler.poll(SITE, work, attempts) for _ in range(REPEAT)]
    seconds = timed(lambda: scheduler.poll(SITE, work, attempts), REPEAT)
    floor = timed(lambda: subprocess.run(["squeue", "--me", "--array"], check=True, capture_output=True), REPEAT)
    note = ", ".join(f"{count} {name}" for name, count in looks[-1].queries.items())
    seen = sum(job_status.state is JobState.QUEUED for job_status in looks[-1].statuses.values())
    used = [Used(each, 0) for each in seconds]
    return Row(f"one poll of {MANY:,} jobs", used, floor, "squeue --me --array", "1 squeue + at most 1 sacct", f"{note}; {seen} seen")


def _jobs(folder: Path, count: int, *, array: bool) -> tuple[Path, Sequence[Submission], Sequence[Attempt]]:
    """A work tree with scripts, and the intent to run them."""
    name = f"bench.{secrets.token_hex(4)}"
    work = folder / "work" / name
    work.mkdir(parents=True)
    tokens = [f"{name}.array_{index}" if array else f"{name}.{index}" for index in range(count)]
    (work / "job.slurm").write_text("#!/bin/bash\n#SBATCH --time=00:05:00\n#SBATCH --mem=100M\ntrue\n")
    submissions = [Submission(token, "job.slurm", f".ckgit/jobs/{token}/output", SMALL) for token in tokens]
    now = datetime.now(tz=UTC).isoformat(timespec="seconds")
    known = {"job": "bench", "stage": Stage.TRAINING, "number": 1, "script_sha256": "", "phase": Phase.SUBMITTED, "submitted": now}
    return work, submissions, [Attempt(token=token, **known) for token in tokens]  # type: ignore[arg-type]


def _partition(state: str) -> None:
    done = subprocess.run(["scontrol", "update", "PartitionName=main", f"State={state}"], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"bench.slurm needs a cluster whose partition main it may close: {done.stderr.strip()}")


if __name__ == "__main__":
    main()
