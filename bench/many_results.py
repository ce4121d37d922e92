"""A lab of many analyzed experiments, whose results are drawn by chance and written by `git fast-import`."""

from __future__ import annotations

import functools
import hashlib
import json
import random
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.labs import MODEL, bench_card, ckgit, git
from ckgit.experiment.design.model import RunType, Stage
from ckgit.experiment.jobs import Attempt, Ledger, Phase, Usage
from ckgit.experiment.results import CellResult, Metric, Results, RunRow, Sample, TrainingResult
from ckgit.lab.models.card_file import dump_card
from ckgit.lab.summary.file import SummaryFile

EPOCHS = 5
_DIFFERENT = 50  # experiments whose numbers are drawn; the others repeat them, as drawing takes longer than all else
_DIGEST = "0123456789abcdef" * 4
_SECONDS = 1_767_225_600  # since 1970, when the first commit was made
_SUMMARY = """\
---
schema_version: 1
experiment:
  name: {name}
  question: Which rank is best, number {number}?
  date: 2026-01-01
models: [{model}]
data:
  words: {{path: data/words_5L.json}}
controls: {{epochs: {epochs}, lr: {lr}, device: cpu, dtype: fp32}}
variables: {{lora_rank: {ranks}}}
evaluation:
  tasks: [{{name: capitalization}}]
  matrix: [{{epochs: all}}]
state: analyzed
---
"""


def make_results_lab(folder: Path, *, experiments: int, runs: int, samples: int) -> Path:
    """A lab with so many analyzed experiments called r0000 and so on, each of so many runs with five cells of so many samples."""
    ckgit("init", folder)
    (folder / "models").mkdir(exist_ok=True)
    (folder / "models" / f"{MODEL}.yaml").write_bytes(dump_card(bench_card()))
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "A model card")
    add_results(folder, range(experiments), runs=runs, samples=samples)
    git(folder, "pack-refs", "--all")
    return folder


def add_results(folder: Path, numbers: range, *, runs: int, samples: int) -> None:
    """More such experiments."""
    base = git(folder, "rev-parse", "main")
    with subprocess.Popen(["git", "fast-import", "--quiet"], cwd=folder, stdin=subprocess.PIPE) as process:
        assert process.stdin  # noqa: S101 - for the type checker
        for number in numbers:
            for part in _commit(number, base, runs, samples):
                process.stdin.write(part)
    if process.returncode:
        raise RuntimeError(f"git fast-import ended with {process.returncode}")


def _commit(number: int, base: str, runs: int, samples: int) -> Iterator[bytes]:
    name = f"r{number:04}"
    files = _files(name, number, runs, samples)
    step = "Ckgit-Event: analyze\nCkgit-From: evaluated\nCkgit-To: analyzed"
    trailers = f"Ckgit-Experiment: {name}\n{step}\nCkgit-Design: {_digest(files)}\n"
    message = f"analyze {name}: evaluated -> analyzed\n\n{trailers}".encode()
    yield f"commit refs/heads/exp/{name}\ncommitter bench <bench@localhost> {_SECONDS + number} +0000\n".encode()
    yield f"data {len(message)}\n".encode() + message + f"from {base}\n".encode()
    for path, content in files.items():
        yield f"M 100644 inline experiments/{name}/{path}\ndata {len(content)}\n".encode() + content + b"\n"


def _digest(files: Mapping[str, bytes]) -> str:
    return str(json.loads(files["analysis/results.json"])["design"])


def _files(name: str, number: int, runs: int, samples: int) -> dict[str, bytes]:
    ranks = [2 + each for each in range(runs)]
    text = _SUMMARY.format(name=name, number=number, model=MODEL, epochs=EPOCHS, lr=f"{1 + number % 9}.0e-5", ranks=ranks)
    design = SummaryFile.parse(text.encode(), name).summary.digest
    found = Results(experiment=name, question=f"Which rank is best, number {number}?", design=design, runs=())
    attempts = tuple(_attempt(name, f"rank{rank}") for rank in ranks)
    ledger = Ledger(cluster="local", scheduler="local", design=design, attempts=attempts)
    document = found.model_dump(mode="json", exclude_none=True)
    results = json.dumps(document).replace('"runs": []', f'"runs": {_runs(number % _DIFFERENT, tuple(ranks), samples)}').encode()
    return {"experiment_summary.md": text.encode(), "jobs.json": ledger.dump(), "analysis/results.json": results}


@functools.cache
def _runs(seed: int, ranks: tuple[int, ...], samples: int) -> str:
    chance = random.Random(seed)  # noqa: S311 - no secret
    return json.dumps([_run(rank, chance, samples).model_dump(mode="json", exclude_none=True) for rank in ranks])


def _attempt(name: str, run: str) -> Attempt:
    usage = Usage(elapsed_seconds=83.0, gpus=1)
    job, token = f"{run}/finetune", f"{name}.{run}"
    return Attempt(
        job=job,
        stage=Stage.TRAINING,
        number=1,
        token=token,
        script_sha256=_DIGEST,
        phase=Phase.DONE,
        submitted="2026-01-01T10:00:00Z",
        started="2026-01-01T10:01:00Z",
        ended="2026-01-01T10:02:23Z",
        exit_code=0,
        usage=usage,
    )


def _run(rank: int, chance: random.Random, samples: int) -> RunRow:
    name = f"rank{rank}"
    training = TrainingResult(run=name, steps=100, final_loss=chance.random(), seconds=83.0)
    cells = tuple(_cell(name, epoch, chance, samples) for epoch in range(EPOCHS))
    return RunRow(name=name, type=RunType.FINE_TUNED, varied={"lora_rank": str(rank)}, training=training, cells=cells)


def _cell(run: str, epoch: int, chance: random.Random, samples: int) -> CellResult:
    scores = [float(chance.random() < 0.5 + epoch / 10) for _ in range(samples)]
    share = sum(scores) / samples
    answers = tuple(Sample(id=at, scores={"match": score}, answer="Abc", target="Abc") for at, score in enumerate(scores, start=1))
    metric = Metric(scorer="match", name="accuracy", value=share, low=max(share - 0.1, 0), high=min(share + 0.1, 1), samples=samples)
    log = f"experiments/x/{run}/eval/logs/capitalization_epoch{epoch}.eval"
    sha = hashlib.sha256(f"{run} {epoch}".encode()).hexdigest()
    return CellResult(
        run=run, task="capitalization", epoch=epoch, log=log, log_sha256=sha, seconds=7.0, metrics=(metric,), samples=answers
    )
