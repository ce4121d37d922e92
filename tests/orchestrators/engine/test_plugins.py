"""Workers of other packages: found, listed, used; and named when they are broken."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.model import Stage
from ckgit.experiment.tools.workers import installed_workers
from ckgit.orchestrators.engine.experiment import open_experiment
from ckgit.orchestrators.engine.plugins import scheduler_for, worker_for
from tests.orchestrators.bench import PACKAGE, Bench


@pytest.fixture
def broken_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package whose worker cannot be imported."""
    info = tmp_path / "broken_worker-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-worker\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ckgit.workers]\nbroken = not_there_at_all:worker\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_an_installer_can_install_the_package_and_ckgit_lists_its_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check"]
    source = tmp_path / "source"
    source.mkdir()
    for file in PACKAGE.iterdir():
        if file.is_file():
            (source / file.name).write_bytes(file.read_bytes())
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", str(tmp_path / "site"), str(source)], check=True)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{PACKAGE.parents[2]}")
    answer = subprocess.run([sys.executable, "-m", "ckgit", "worker", "--json"], capture_output=True, text=True, check=True).stdout
    rows = {row["worker"]: row for row in json.loads(answer)["workers"]}
    assert {"scaffold-torchtune", "run-torchtune", "scaffold-inspect", "run-inspect"} <= set(rows)
    assert rows["scaffold-tiny-evaluator"] == {
        "worker": "scaffold-tiny-evaluator",
        "tool": "tiny-evaluator",
        "stage": "evaluation",
        "package": "ckgit-tiny",
        "reads": "the design and setup.txt",
        "writes": "eval/TASK_epochN.slurm for each cell",
    }
    assert rows["run-tiny-evaluator"]["reads"] == "scripts of scaffold-tiny-evaluator, in the work tree"
    assert rows["run-tiny-evaluator"]["writes"] == "eval/logs/CELL.json; slurm-N.out of each job, run-tiny-evaluator.log"


@pytest.mark.usefixtures("broken_package")
def test_a_broken_worker_names_its_package(bench: Bench) -> None:
    with pytest.raises(CkgitError, match="broken-worker") as caught:
        installed_workers()
    assert caught.value.code is Exit.TOOL_MISSING
    assert worker_for(open_experiment(bench.lab, "demo").context.summary, Stage.TRAINING)


def test_a_tool_that_is_not_installed(designed: Callable[..., Bench]) -> None:
    bench = designed(tools={"preparation": "tiny-trainer", "evaluation": "no-such-tool"})
    with pytest.raises(CkgitError, match="no installed worker does evaluation with no-such-tool") as caught:
        bench.advance()
    assert caught.value.code is Exit.TOOL_MISSING


def test_a_scheduler_that_is_not_installed() -> None:
    with pytest.raises(CkgitError, match=r"no scheduler 'moon' \(installed: local, slurm\)"):
        scheduler_for(Cluster(scheduler="moon"))


def test_ckgits_own_installation_may_be_older_than_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "ckgit-0.0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ckgit\nVersion: 0.0.1\n")
    (info / "entry_points.txt").write_text("[ckgit.schedulers]\nlocal = ckgit.schedulers.where_it_was:scheduler\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CkgitError, match="package ckgit cannot be loaded") as caught:
        scheduler_for(Cluster(slots=1))
    assert caught.value.code is Exit.TOOL_MISSING
    assert "install ckgit again" in caught.value.next
    assert "uninstall" not in caught.value.next
