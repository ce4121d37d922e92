"""scaffold-experiment is pure, and says everything that stands against it at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.orchestrators.engine.experiment import open_experiment
from ckgit.orchestrators.scaffold import scaffold as module
from ckgit.orchestrators.scaffold.scaffold import scaffold
from tests.conftest import make_test_lab
from tests.orchestrators.bench import Bench, design_demo


def test_two_labs_give_the_same_bytes(bench: Bench, tmp_path: Path, run: Callable[..., str]) -> None:
    other = bench._replace(folder=make_test_lab(tmp_path / "somewhere else"))
    (other.folder / "ckgit.toml").write_bytes((bench.folder / "ckgit.toml").read_bytes())
    run(other.folder, "commit", "--quiet", "--all", "--message=The same profile")
    design_demo(other.lab)
    one, two = (scaffold(open_experiment(b.lab, "demo")) for b in (bench, other))
    assert one.files == two.files
    assert one.body == two.body


def test_many_runs_are_rendered_in_two_processes_to_the_same_files(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    view = open_experiment(bench.lab, "demo")
    whole = scaffold(view).files
    monkeypatch.setattr(module, "_MANY", 1)
    forked: list[int] = []
    monkeypatch.setattr(os, "fork", lambda fork=os.fork: forked.append(fork()) or forked[-1])
    assert scaffold(view).files == whole
    assert len(forked) == 1


def test_logs_name_each_file_with_its_digest(bench: Bench) -> None:
    bench.advance()
    log = bench.snapshot.read("experiments/demo/scaffold-tiny-trainer.log")
    assert log
    lines = log.decode().splitlines()
    assert lines[0] == "RUN rank4: 2 files"
    assert any(line.startswith("WROTE rank4/finetune.slurm ") and " sha256 " in line for line in lines)
    assert lines[-1] == "END 5 files"


def test_a_design_that_was_changed_by_hand_and_not_measured_again_is_refused(bench: Bench, run: Callable[..., str]) -> None:
    run(bench.folder, "switch", "--quiet", "exp/demo")
    summary = bench.folder / "experiments/demo/experiment_summary.md"
    summary.write_text(summary.read_text().replace("variables:\n", "controls:\n  base_recipe: some/recipe\nvariables:\n"))
    run(bench.folder, "commit", "--quiet", "--all", "--message=By hand")
    with pytest.raises(CkgitError, match="design: base recipe some/recipe is in the design and was not measured") as caught:
        bench.advance()
    assert (caught.value.code, "ckgit revise demo" in str(caught.value.next)) == (Exit.INVALID_DESIGN, True)
    assert bench.snapshot.state is State.DESIGNED


def test_every_problem_at_once(designed: Callable[..., Bench]) -> None:
    bench = designed(controls={"epochs": 10})
    with pytest.raises(CkgitError, match="run rank4: 10 epochs") as caught:
        bench.advance()
    assert caught.value.code is Exit.INVALID_DESIGN
    assert "run rank8: 10 epochs" in caught.value.what
    assert bench.snapshot.state is State.DESIGNED
