"""What was kept, or taken over, is known to whoever looks for its files, and to whoever removes some."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ckgit.experiment.design.model import State
from ckgit.experiment.results import CellResult
from ckgit.orchestrators.commands.advance import advance
from ckgit.orchestrators.engine.experiment import open_experiment
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.reports.logs import CellLog, _large
from tests.orchestrators.bench import Bench, Heard
from tests.orchestrators.test_kept import told
from tests.orchestrators.test_kept_sources import LIKE

__all__ = ["told"]


def test_the_log_of_a_kept_evaluation_that_was_too_large_is_found_and_stays(told: Bench) -> None:
    old = told.work
    log = old / "experiments/demo/rank4/eval/logs/capitalization_epoch0.eval"
    log.write_bytes(b"a large log")
    place, digest = str(log.relative_to(old)), hashlib.sha256(log.read_bytes()).hexdigest()
    result = CellResult(
        run="rank4", task="capitalization", epoch=0, log=place, log_sha256=digest, seconds=1.0, metrics=(), samples=()
    )

    def large() -> Path | None:
        cell = CellLog("rank4", "capitalization_epoch0", None)
        return _large(open_experiment(told.lab, "demo"), cell, result.model_dump_json().encode()).large

    assert large() == log
    told.ckgit("revise", "demo", "--set", "experiment.question=Why?")
    told.advance(State.ANALYZED)
    assert large() == log
    told.ckgit("clean", "demo", "--work", "--yes", check=False)
    assert log.exists()


@pytest.mark.parametrize("keep", ["best", "rank8", "last"])
def test_the_checkpoints_of_a_training_that_was_taken_over_can_be_kept(told: Bench, keep: str) -> None:
    told.ckgit("design", "next", *LIKE, "--reuse")
    advance(told.lab, "next", AdvanceOptions(to=State.ANALYZED), Heard())
    view = open_experiment(told.lab, "next")
    assert view.ledger
    weights = Path(view.ledger.work_tree) / view.context.artifacts("rank8") / "epoch_0/weights"
    assert weights.exists()
    told.ckgit("clean", "next", "--checkpoints", "--keep", keep, "--yes")
    assert weights.exists()


def test_checkpoints_of_kept_trainings_are_in_the_newest_work_tree(told: Bench) -> None:
    """So what an older one holds is not needed any more, and may go."""
    old = told.work
    told.ckgit("revise", "demo", "--set", "variables.lora_rank=[4, 8, 16]")
    told.advance(State.ANALYZED)
    weights = told.work / "experiments/demo/rank4/artifacts/epoch_0/weights"
    assert weights.exists()
    told.ckgit("clean", "demo", "--work", "--yes")
    assert (old.exists(), weights.exists()) == (False, True)
    assert "not on this machine" not in told.ckgit("show", "demo", "rank4").stdout
