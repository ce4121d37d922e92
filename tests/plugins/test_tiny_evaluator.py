"""A second evaluator, installed by pip, is found through its entry point, listed beside ours, and does its work."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, Phase
from ckgit.experiment.results import CellResult
from ckgit.experiment.worker import Context, Worker
from ckgit.orchestrators.engine.plugins import worker_for
from tests.workers.inspect_ai.examples import make_context

PACKAGE = Path(__file__).with_name("tiny_evaluator")
NAME = "ck-1"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip installed the package into."""
    pytest.importorskip("setuptools")
    source, target = tmp_path_factory.mktemp("source") / "package", tmp_path_factory.mktemp("site")
    shutil.copytree(PACKAGE, source)  # a build leaves files in it
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--target",
        target,
        source,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def worker(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """The worker, as ckgit finds it for a design that names its tool."""
    monkeypatch.syspath_prepend(str(installed))
    found = worker_for(context().summary, Stage.EVALUATION)
    assert found is not None
    return found


def context(models: Path | None = None) -> Context:
    return make_context(models, tools={"evaluation": "exact-count"})


def test_ckgit_worker_lists_it_with_its_package(installed: Path, tmp_path: Path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-m", "ckgit", "worker", "--json"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = {row["worker"]: row for row in json.loads(done.stdout)["workers"]}
    assert {"scaffold-inspect", "run-inspect", "scaffold-torchtune", "run-torchtune"} <= set(rows)
    assert rows["run-exact-count"]["package"] == "tiny-evaluator"
    assert "eval/CELL.slurm" in rows["scaffold-exact-count"]["writes"]
    assert rows["scaffold-exact-count"]["reads"] == "the design, data, checkpoints"


def test_a_design_that_names_it_gets_its_files(worker: Worker):
    assert worker.check(context()) == []
    files = worker.scaffold(context())
    assert sorted(Path(path).name for path in files) == [
        "capitalization_base.json",
        "capitalization_base.slurm",
        "capitalization_epoch0.json",
        "capitalization_epoch0.slurm",
    ]


@pytest.mark.slow
def test_it_evaluates(worker: Worker, installed: Path, models: Path, tmp_path: Path):
    setup = f"export PYTHONPATH='{installed}{os.pathsep}{ROOT}'"
    made = context(models)._replace(cluster=Cluster(setup=(setup,)))
    job = worker.jobs(made)[1]
    for path, content in {**made.sources, **worker.scaffold(made)}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    assert worker.ready(made, job, tmp_path) == ["there is no checkpoint models/plain"]
    (tmp_path / "models").mkdir()
    (tmp_path / "models/plain").symlink_to(models / "plain")
    assert worker.ready(made, job, tmp_path) == []
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "CKGIT_JOB": NAME}
    done = subprocess.run(["bash", job.script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    attempt = Attempt(
        job=job.name, stage=job.stage, number=1, token=NAME, script_sha256="0" * 64, phase=Phase.SUBMITTED, submitted="", exit_code=0
    )
    evidence = worker.evidence(made, job, attempt, tmp_path)
    assert evidence.reasons == []
    (result,) = evidence.results
    assert isinstance(result, CellResult)
    assert [(sample.id, sample.target) for sample in result.samples] == [(1, "APPLE"), (2, "GRAPE"), (3, "LEMON"), (4, "APPLE")]
    assert result.metrics[0].samples == 4
    assert worker.results(made, job, attempt, evidence.files) == evidence.results
