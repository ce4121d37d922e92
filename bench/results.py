"""What a lab's results cost: `python -m bench results`, and beside other tools on the same numbers with `--peers`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.labs import ckgit, git
from bench.many_results import add_results, make_results_lab
from bench.measure import Row, Used, run

EXPERIMENTS, RUNS, SAMPLES = 1_000, 10, 10  # five cells a run
REPEAT = 7
CKGIT = (sys.executable, "-m", "ckgit")
ASKED = ("results", "--where", "epoch=4", "--where", "metric=accuracy", "--sort=-value", "--limit", "20")
BARE = """\
import sys
import duckdb
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    print(connection.execute(sys.argv[2]).fetchall())
"""
SHOWN = "SELECT experiment, run, task, epoch, metric, value, low, high, scored FROM results"
QUERY = f"{SHOWN} WHERE current AND epoch = 4 AND metric = 'accuracy' ORDER BY value DESC, experiment, number LIMIT 20"
ALL = f"{SHOWN} WHERE current ORDER BY experiment, number, task, epoch"


def rows(folder: Path, experiments: int = EXPERIMENTS) -> Iterator[Row]:
    """Cold, warm, whole, and with one new experiment."""
    lab = make_results_lab(folder / "results", experiments=experiments, runs=RUNS, samples=SAMPLES)
    size = f"{experiments:,} experiments x {5 * RUNS} cells"
    cold = [run([*CKGIT, *ASKED], cwd=lab)]
    exported = folder / "lab.duckdb"
    ckgit("-C", lab, "results", "--export", exported)
    bare = [sys.executable, "-c", BARE, str(exported)]
    floor, warm = by_turns(lab, [*bare, QUERY], [*CKGIT, *ASKED])
    yield Row(f"results of {size}, cold", cold, floor, "bare DuckDB query", "")
    yield Row(f"results of {size}, warm", warm, floor, "bare DuckDB query", "3 times, 0.5 s")
    all_floor, whole = by_turns(lab, [*bare, ALL], [*CKGIT, "results", "--format", "csv"])
    yield Row(f"results of {size}, every row as CSV", whole, all_floor, "bare DuckDB query, printed", "")
    new = [_with_one_more(lab, experiments + number) for number in range(3)]
    yield Row(f"one new experiment among {experiments:,}", new, floor, "bare DuckDB query", "0.5 s more than warm")
    lost = [_with_one_less(lab, number) for number in range(3)]
    yield Row(f"one branch deleted among {experiments:,}", lost, floor, "bare DuckDB query", "0.5 s more than warm")


def by_turns(lab: Path, floor: list[str], command: list[str]) -> tuple[list[float], list[Used]]:
    """Both commands, by turns, so that both see the same machine."""
    pairs = [(run(floor, cwd=lab).seconds, run(command, cwd=lab)) for _ in range(REPEAT)]
    return [seconds for seconds, _ in pairs], [used for _, used in pairs]


def _with_one_more(lab: Path, number: int) -> Used:
    add_results(lab, range(number, number + 1), runs=RUNS, samples=SAMPLES)
    return run([*CKGIT, *ASKED], cwd=lab)


def _with_one_less(lab: Path, number: int) -> Used:
    git(lab, "update-ref", "-d", f"refs/heads/exp/r{number:04}")
    return run([*CKGIT, *ASKED], cwd=lab)


PEERS = 100  # experiments: to write more takes these tools minutes
_MLFLOW = """\
import random, sys
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
client = MlflowClient(f"sqlite:///{sys.argv[1]}")
for number in range(int(sys.argv[2])):
    chance, experiment = random.Random(number), client.create_experiment(f"r{number:04}")
    for rank in range(2, 12):
        run = client.create_run(experiment)
        metrics = [Metric("accuracy", chance.random(), 0, epoch) for epoch in range(5)]
        client.log_batch(run.info.run_id, metrics, [Param("lora_rank", str(rank))])
"""
_SEARCH = """\
import sys, mlflow
mlflow.set_tracking_uri(f"sqlite:///{sys.argv[1]}")
print(mlflow.search_runs(search_all_experiments=True, order_by=["metrics.accuracy DESC"], max_results=20))
"""


def peers(folder: Path) -> Iterator[Row]:
    """MLflow's search and `dvc exp show` over the numbers of 100 experiments, each in an environment of its own; and ckgit's."""
    lab = make_results_lab(folder / "fewer", experiments=PEERS, runs=RUNS, samples=SAMPLES)
    run([*CKGIT, *ASKED], cwd=lab)
    exported = folder / "fewer.duckdb"
    ckgit("-C", lab, "results", "--export", exported)
    floor, warm = by_turns(lab, [sys.executable, "-c", BARE, str(exported), QUERY], [*CKGIT, *ASKED])
    yield Row(f"results of {PEERS} experiments, warm", warm, floor, "bare DuckDB query", "")
    python, store = _installed(folder, "mlflow"), folder / "mlflow.db"
    run([python, "-c", _MLFLOW, str(store), str(PEERS)], cwd=folder)
    searched = [run([python, "-c", _SEARCH, str(store)], cwd=folder) for _ in range(3)]
    yield Row(f"MLflow search of {PEERS} experiments", searched, floor, "bare DuckDB query", "")
    dvc = str(Path(_installed(folder, "dvc")).with_name("dvc"))
    other = _dvc_lab(folder / "dvc-lab", dvc)
    asked = [dvc, "exp", "show", "--csv", "--all-commits", "--sort-by", "accuracy"]
    _check_shown(subprocess.run(asked, cwd=other, check=True, capture_output=True, text=True).stdout)
    shown = [run(asked, cwd=other) for _ in range(3)]
    yield Row(f"dvc exp show of {PEERS} experiments", shown, floor, "bare DuckDB query", "")


def _check_shown(table: str) -> None:
    """Raise where an experiment is not in the table: what shows less costs less."""
    if lacking := [name for name in map("r{:04}".format, range(1, PEERS + 1)) if name not in table]:
        raise RuntimeError(f"dvc exp show lacks {len(lacking)} of {PEERS} experiments:\n{table[:2000]}")


def _installed(folder: Path, package: str) -> str:
    """A Python that has a package."""
    place = folder / f"venv-{package}"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    python = str(place / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", package], check=True)
    return python


def _dvc_lab(folder: Path, dvc: str) -> Path:
    """A repository with so many of dvc's experiments, each with the ten final accuracies of one of ours."""
    folder.mkdir()
    git(folder, "init", "--quiet", "-b", "main")
    subprocess.run([dvc, "init", "--quiet"], cwd=folder, check=True)
    (folder / "dvc.yaml").write_text("metrics: [metrics.json]\nparams: [params.yaml]\n")
    for number in range(PEERS + 1):
        scores = {f"rank{rank}": (number * rank) % 97 / 97 for rank in range(2, 12)}
        (folder / "metrics.json").write_text(json.dumps({"accuracy": max(scores.values()), **scores}))
        (folder / "params.yaml").write_text(f"lr: {1 + number % 9}.0e-5\n")
        if number == 0:
            git(folder, "add", "--all")
            git(folder, "commit", "--quiet", "--message", "First")
        else:
            subprocess.run([dvc, "exp", "save", "--quiet", "--name", f"r{number:04}"], cwd=folder, check=True)
    shutil.rmtree(folder / ".dvc" / "tmp", ignore_errors=True)
    return folder
