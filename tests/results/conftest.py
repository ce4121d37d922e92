"""Labs with results: some drawn by chance, and one whose jobs really ran (they are bash)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.many_results import add_results
from ckgit.experiment.state import State
from ckgit.lab.lab import open_lab
from tests.conftest import make_test_lab
from tests.orchestrators.bench import Bench, design_demo
from tests.orchestrators.conftest import bare_bench, bench, designed, end_jobs, install, new_bench, tiny_package

__all__ = ["bare_bench", "bench", "designed", "tiny_package"]


@pytest.fixture
def many(lab_folder: Path) -> Path:
    """A lab with three analyzed experiments of two runs, five epochs and eight rows."""
    add_results(lab_folder, range(3), runs=2, samples=8)
    return lab_folder


@pytest.fixture(scope="module")
def real(tiny_package: Path, tmp_path_factory: pytest.TempPathFactory):
    """A lab whose experiment `demo` was taken from its design to its report, with a training that failed once; nobody changes it."""
    folder = tmp_path_factory.mktemp("real")
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Ada")
            patch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
        patch.setenv("HOME", str(folder))
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        install(tiny_package, patch)
        made: Bench = new_bench(open_lab(make_test_lab(folder / "lab")), folder)
        claims = [{"metric": "accuracy", "task": "capitalization", "left": "rank4", "right": "base", "direction": "greater"}]
        design_demo(made.lab, {"experiment": {"name": "demo", "question": "Does it?", "date": "2026-11-23", "claims": claims}})
        made.fail("rank4/finetune")
        made.advance(State.SCAFFOLDED)
        made.advance()
        made.mend("rank4/finetune")
        made.retry()
        made.advance(State.ANALYZED)
        yield made
        end_jobs(made.lab, folder)
