"""Benches: labs with an experiment whose jobs are bash."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ckgit.errors import CkgitError
from ckgit.lab.lab import Lab
from ckgit.schedulers.local.scheduler import scheduler
from tests.attempts import attempts
from tests.orchestrators.bench import PACKAGE, Bench, Heard, design_demo


@pytest.fixture(scope="session")
def tiny_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as an installer leaves it. (That pip can install it is shown in test_plugins.)"""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(PACKAGE / "ckgit_tiny.py", folder)
    shutil.copy(PACKAGE.with_name("ckgit-scripted") / "ckgit_scripted.py", folder)
    info = folder / "ckgit_tiny-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ckgit-tiny\nVersion: 1.0\n")
    workers = "[ckgit.workers]\ntiny-trainer = ckgit_tiny:trainer\ntiny-evaluator = ckgit_tiny:evaluator\n"
    workers += "telling-trainer = ckgit_tiny:telling_trainer\ntelling-evaluator = ckgit_tiny:telling_evaluator\n"
    (info / "entry_points.txt").write_text(f"{workers}[ckgit.schedulers]\nscripted = ckgit_scripted:scheduler\n")
    return folder


def install(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process, and those that it starts, find a package."""
    monkeypatch.syspath_prepend(package)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package), str(Path(__file__).parents[2])]))


def new_bench(lab: Lab, folder: Path) -> Bench:
    """A lab whose jobs are steered from `folder`."""
    steer = folder / "steer"
    steer.mkdir()
    bench = Bench(lab.root, steer, Heard())
    bench.set_up()
    return bench


@pytest.fixture
def bare_bench(lab: Lab, tmp_path: Path, tiny_package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A lab without an experiment."""
    install(tiny_package, monkeypatch)
    yield new_bench(lab, tmp_path)
    end_jobs(lab, tmp_path)


def end_jobs(lab: Lab, top: Path) -> None:
    """End whatever jobs still run below a folder."""
    for folder in top.glob("**/.ckgit/jobs"):
        tokens = [entry.name for entry in folder.iterdir() if (entry / "local.json").exists()]
        with contextlib.suppress(CkgitError):  # a test may have said that one runs elsewhere
            scheduler.cancel(lab.cluster(), folder.parents[1], attempts(*tokens))


@pytest.fixture
def designed(bare_bench: Bench) -> Callable[..., Bench]:
    """`designed(tools={…})`: the lab with experiment `demo`, whose design differs in these keys."""

    def make(**changes: Any) -> Bench:
        design_demo(bare_bench.lab, changes)
        return bare_bench

    return make


@pytest.fixture
def bench(bare_bench: Bench) -> Bench:
    """A lab with experiment `demo` in state designed: two runs to train, one control, three evaluations."""
    design_demo(bare_bench.lab)
    return bare_bench
