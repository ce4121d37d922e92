"""--dry-run: what would be written, submitted and committed, without a trace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ckgit.experiment.design.model import State
from ckgit.experiment.outputs.planned import PlannedStep
from ckgit.orchestrators.commands.dry_run import dry_run
from ckgit.orchestrators.engine.options import AdvanceOptions
from tests.orchestrators.bench import Bench


def said(step: PlannedStep) -> str:
    [commit] = step.commits
    return "\n".join(commit.lines())


def traces(folder: Path) -> dict[str, int]:
    """Every file with the time of its last change."""
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture
def dry(bench: Bench) -> Callable[[], PlannedStep]:
    """A preview that is checked to leave nothing behind."""

    def look() -> PlannedStep:
        before = traces(bench.folder)
        found = dry_run(bench.lab, "demo", AdvanceOptions())
        assert traces(bench.folder) == before
        return found

    return look


def test_scaffold(bench: Bench, dry: Callable[[], PlannedStep]) -> None:
    shown = said(dry())
    bench.advance()
    assert "scaffold demo: designed -> scaffolded" in shown
    for path in bench.files_of("exp/demo"):
        assert f"experiments/demo/{path}" in shown


def test_submission(bench: Bench, dry: Callable[[], PlannedStep]) -> None:
    bench.advance(State.SCAFFOLDED)
    found = dry()
    assert "submit demo: scaffolded -> scaffolded" in said(found)
    assert bench.executions() == []
    bench.advance()
    work = bench.work
    assert [job.command for job in found.submissions] == [
        f"cd {work} && bash experiments/demo/{run}/finetune.slurm" for run in ("rank4", "rank8")
    ]


def test_jobs_that_are_out_and_the_commit_that_would_follow(bench: Bench, dry: Callable[[], PlannedStep]) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    assert dry().remarks == ("would wait for rank4/finetune: running", "would wait for rank8/finetune: running")
    bench.go()
    bench.until(lambda: len(list(bench.work.glob(".ckgit/jobs/*/status.json"))) == 2)
    shown = said(dry())
    bench.advance()
    assert "train demo: scaffolded -> trained" in shown
    for path in bench.files_of("exp/demo"):
        assert f"experiments/demo/{path}" in shown


def test_where_there_is_nothing_to_do(bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    step = dry_run(bench.lab, "demo", AdvanceOptions())
    assert (step.commits, "nothing to do" in " ".join(step.remarks)) == ((), True)
