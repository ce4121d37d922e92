"""Cells of one checkpoint in one job, from scaffold to report."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ckgit.analysis.tables import job_rows
from ckgit.experiment.design import State
from ckgit.experiment.errors import CkgitError, Exit
from ckgit.experiment.jobs import Phase
from ckgit.experiment.results import Results
from ckgit.orchestrators.again import Selection, retry
from ckgit.orchestrators.stagework import Wish
from ckgit.orchestrators.standing import stand
from tests.orchestrators.bench import Bench

AGAIN = {"name": "again", "file": "tasks/capitalization.py", "function": "capitalization"}
SHARED = {"compute": {"evaluation_jobs": "checkpoint"}, "evaluation": {"tasks": [{"name": "capitalization"}, AGAIN]}}


@pytest.fixture
def bench(designed: Callable[..., Bench]) -> Bench:
    return designed(**SHARED)


def cells(bench: Bench) -> list[tuple[str, str]]:
    results = Results.model_validate_json(bench.results())
    return [(cell.run, cell.task) for run in results.runs for cell in run.cells]


def test_a_job_a_checkpoint_and_a_row_a_cell(bench: Bench) -> None:
    outcome = bench.advance(State.ANALYZED)
    assert (outcome.code, outcome.state) == (Exit.DONE, State.ANALYZED)
    assert [attempt.job for attempt in bench.ledger.attempts if "/eval/" in attempt.job] == [
        "rank4/eval/epoch0",
        "rank8/eval/epoch0",
        "base/eval/base",
    ]
    assert len(bench.executions()) == 5
    assert cells(bench) == [(run, task) for run in ("rank4", "rank8", "base") for task in ("capitalization", "again")]
    standing = stand(bench.lab, "demo")
    rows = job_rows(standing.context, standing.ledger)
    assert [(row.run, row.cell, row.state) for row in rows if row.cell][:2] == [
        ("rank4", "capitalization_epoch0", "done"),
        ("rank4", "again_epoch0", "done"),
    ]
    shown = bench.ckgit("show", "demo").stdout
    assert [" ".join(line.split()[:6]) for line in shown.splitlines() if line.startswith("rank4 ")] == ["rank4 fine-tuned 4 2 of 2"]
    named = [job["name"] for job in json.loads(bench.ckgit("show", "demo", "--json").stdout)["runs"][0]["jobs"]]
    assert named == ["rank4/finetune", "rank4/eval/epoch0"]
    both = "capitalization: accuracy 0.900 [0.704, 1.000], 2 samples, 1 s; [95 % over rows]; again: accuracy 0.9"
    assert f"rank4/eval/epoch0: {both}" in bench.message("exp/demo~1")


def test_a_job_that_failed_fails_each_of_its_cells_and_is_tried_again_alone(bench: Bench) -> None:
    bench.fail("rank8/eval/epoch0")
    assert bench.advance(State.EVALUATED).code is Exit.JOBS_FAILED
    standing = stand(bench.lab, "demo")
    states = [(row.cell, row.state) for row in job_rows(standing.context, standing.ledger) if row.run == "rank8" and row.cell]
    assert states == [("capitalization_epoch0", "failed"), ("again_epoch0", "failed")]
    bench.mend("rank8/eval/epoch0")
    assert retry(stand(bench.lab, "demo"), Selection(), Wish(), bench.heard).code is Exit.DONE
    assert bench.advance(State.ANALYZED).code is Exit.DONE
    assert len(bench.executions()) == 6
    assert [a.phase for a in bench.ledger.attempts if a.job == "rank8/eval/epoch0"] == [Phase.FAILED, Phase.DONE]


def test_an_evaluator_that_cannot_do_it_is_refused(designed: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    import ckgit_tiny  # type: ignore[import-not-found]

    bench = designed(**SHARED)
    alone = [job.model_copy(update={"name": f"{job.run}/eval/own"}) for job in ckgit_tiny.evaluator.jobs(stand(bench.lab, "demo").context)]
    monkeypatch.setattr(ckgit_tiny.Evaluator, "jobs", lambda *_: alone)
    with pytest.raises(CkgitError, match=r"compute\.evaluation_jobs"):
        bench.advance(State.SCAFFOLDED)
