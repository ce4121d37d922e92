"""One worker by itself."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import patch

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.orchestrators.commands import one_worker
from ckgit.orchestrators.commands.advance import advance
from ckgit.orchestrators.commands.one_worker import render, run_options
from ckgit.orchestrators.engine.experiment import open_experiment
from ckgit.orchestrators.engine.results import AdvanceResult
from tests.orchestrators.bench import Bench


def test_scaffolding_leaves_its_files_in_a_folder_and_commits_nothing(bench: Bench) -> None:
    document = json.loads(bench.ckgit("worker", "scaffold-tiny-trainer", "demo", "--run", "rank4", "--json").stdout)
    folder = Path(document["folder"])
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert written == {file["path"] for file in document["files"]}
    assert written == {"experiments/demo/rank4/setup.txt", "experiments/demo/rank4/finetune.slurm"}
    assert bench.history() == ["design"]
    bench.advance()
    for path in written:
        assert bench.snapshot.read(path) == (folder / path).read_bytes()


def test_a_worker_that_has_nothing_to_write_says_so(bench: Bench) -> None:
    with patch.object(one_worker, "render", return_value={}):
        done = bench.ckgit("worker", "scaffold-tiny-trainer", "demo", "--run", "base", check=False)
    assert (done.returncode, "scaffold-tiny-trainer has nothing to write for base" in done.stderr) == (Exit.USAGE, True), done.stderr


def alone(bench: Bench, worker: str, run: str | None = None) -> AdvanceResult:
    view = open_experiment(bench.lab, "demo")
    return advance(bench.lab, "demo", run_options(view, worker, run=run), bench.heard)


def test_running_one_run_and_then_the_rest(bench: Bench) -> None:
    bench.advance(State.SCAFFOLDED)
    first = alone(bench, "run-tiny-trainer", "rank4")
    assert (first.code, first.message) == (Exit.DONE, "1 of 2 training jobs are done and wait for the others")
    assert bench.snapshot.state is State.SCAFFOLDED
    assert len(bench.executions()) == 1
    alone(bench, "run-tiny-trainer", "rank8")
    assert bench.snapshot.state is State.TRAINED
    assert len(bench.executions()) == 2


def test_what_one_run_did_alone_is_kept_when_it_failed(bench: Bench) -> None:
    bench.advance(State.SCAFFOLDED)
    bench.fail("rank4/finetune")
    assert alone(bench, "run-tiny-trainer", "rank4").code is Exit.JOBS_FAILED
    assert bench.history()[-1] == "fail"


def test_out_of_turn_unknown_and_without_jobs(bench: Bench) -> None:
    view = open_experiment(bench.lab, "demo")
    with pytest.raises(CkgitError, match="jobs run when it is scaffolded or trained"):
        alone(bench, "run-tiny-trainer")
    with pytest.raises(CkgitError, match="no worker 'run-nothing'"):
        alone(bench, "run-nothing")
    with pytest.raises(CkgitError, match="does not use scaffold-torchtune"):
        render(view, "scaffold-torchtune", None)
    with pytest.raises(CkgitError, match="no run 'rank99'"):
        render(view, "scaffold-tiny-trainer", "rank99")
    bench.advance()
    with pytest.raises(CkgitError, match="run base has no training job"):
        alone(bench, "run-tiny-trainer", "base")
