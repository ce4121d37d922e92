"""--dry-run: what would be written, submitted and committed, without a trace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ckgit.errors import CkgitError
from ckgit.experiment.design.model import State
from ckgit.orchestrators.commands.dry_run import DryRun, preview
from ckgit.orchestrators.engine.experiment import open_experiment
from ckgit.orchestrators.engine.options import AdvanceOptions
from tests.orchestrators.bench import Bench


def traces(folder: Path) -> dict[str, int]:
    """Every file with the time of its last change."""
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture
def dry(bench: Bench) -> Callable[[], DryRun]:
    """A preview that is checked to leave nothing behind."""

    def look() -> DryRun:
        before = traces(bench.folder)
        found = preview(open_experiment(bench.lab, "demo"), AdvanceOptions(), None)
        assert traces(bench.folder) == before
        return found

    return look


def test_scaffold(bench: Bench, dry: Callable[[], DryRun]) -> None:
    shown = dry().commit
    bench.advance()
    assert "scaffold demo: designed -> scaffolded" in shown
    for path in bench.files_of("exp/demo"):
        assert f"experiments/demo/{path}" in shown


def test_submission(bench: Bench, dry: Callable[[], DryRun]) -> None:
    bench.advance(State.SCAFFOLDED)
    found = dry()
    assert "submit demo: scaffolded -> scaffolded" in found.commit
    assert bench.executions() == []
    bench.advance()
    work = bench.work
    assert [job.command for job in found.submit] == [
        f"cd {work} && bash experiments/demo/{run}/finetune.slurm" for run in ("rank4", "rank8")
    ]


def test_jobs_that_are_out_and_the_commit_that_would_follow(bench: Bench, dry: Callable[[], DryRun]) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    assert dry().remarks == ["would wait for rank4/finetune: running", "would wait for rank8/finetune: running"]
    bench.go()
    bench.until(lambda: len(list(bench.work.glob(".ckgit/jobs/*/status.json"))) == 2)
    shown = dry().commit
    bench.advance()
    assert "train demo: scaffolded -> trained" in shown
    for path in bench.files_of("exp/demo"):
        assert f"experiments/demo/{path}" in shown


def test_where_there_is_nothing_to_do(bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    with pytest.raises(CkgitError, match="nothing to do"):
        preview(open_experiment(bench.lab, "demo"), AdvanceOptions(), None)
