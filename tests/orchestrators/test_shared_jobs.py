"""Cells of one checkpoint in one job, from scaffold to report."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ckgit.analysis.tables import job_rows
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import Phase
from ckgit.experiment.results import Results
from ckgit.orchestrators.engine.experiment import open_experiment
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
    result = bench.advance(State.ANALYZED)
    assert (result.code, result.state) == (Exit.DONE, State.ANALYZED)
    assert [attempt.job for attempt in bench.ledger.attempts if "/eval/" in attempt.job] == [
        "rank4/eval/epoch0",
        "rank8/eval/epoch0",
        "base/eval/base",
    ]
    assert len(bench.executions()) == 5
    assert cells(bench) == [(run, task) for run in ("rank4", "rank8", "base") for task in ("capitalization", "again")]
    view = open_experiment(bench.lab, "demo")
    rows = job_rows(view.context, view.ledger)
    assert [(row.run, row.cell, row.condition) for row in rows if row.cell][:2] == [
        ("rank4", "capitalization_epoch0", "done"),
        ("rank4", "again_epoch0", "done"),
    ]
    shown = bench.ckgit("show", "demo").stdout
    assert [" ".join(line.split()[:6]) for line in shown.splitlines() if line.startswith("rank4 ")] == ["rank4 fine-tuned 4 2 of 2"]
    named = [job["job"] for job in json.loads(bench.ckgit("show", "demo", "--json").stdout)["runs"][0]["jobs"]]
    assert named == ["rank4/finetune", "rank4/eval/epoch0"]
    both = "capitalization: accuracy 0.900 [0.704, 1.000], 2 samples, 1 s; [95 % over rows]; again: accuracy 0.9"
    assert f"rank4/eval/epoch0: {both}" in bench.message("exp/demo~1")


def test_a_job_that_failed_fails_each_of_its_cells_and_is_tried_again_alone(bench: Bench) -> None:
    bench.fail("rank8/eval/epoch0")
    assert bench.advance(State.EVALUATED).code is Exit.JOBS_FAILED
    view = open_experiment(bench.lab, "demo")
    states = [(row.cell, row.condition) for row in job_rows(view.context, view.ledger) if row.run == "rank8" and row.cell]
    assert states == [("capitalization_epoch0", "failed"), ("again_epoch0", "failed")]
    bench.mend("rank8/eval/epoch0")
    assert bench.retry().code is Exit.DONE
    assert bench.advance(State.ANALYZED).code is Exit.DONE
    assert len(bench.executions()) == 6
    assert [a.phase for a in bench.ledger.attempts if a.job == "rank8/eval/epoch0"] == [Phase.FAILED, Phase.DONE]


def test_an_evaluator_that_cannot_do_it_is_refused(designed: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    import ckgit_tiny  # type: ignore[import-not-found]

    bench = designed(**SHARED)
    alone = [
        job.model_copy(update={"name": f"{job.run}/eval/own"})
        for job in ckgit_tiny.evaluator.jobs(open_experiment(bench.lab, "demo").context)
    ]
    monkeypatch.setattr(type(ckgit_tiny.evaluator), "jobs", lambda *_: alone)
    with pytest.raises(CkgitError, match=r"compute\.evaluation_jobs"):
        bench.advance(State.SCAFFOLDED)


@pytest.fixture
def partial(designed: Callable[..., Bench]) -> Bench:
    """Five cells a checkpoint, one of which leaves no log: that of the third task, of rank8."""
    tasks = [{"name": "capitalization"}, *({**AGAIN, "name": f"again{number}"} for number in range(4))]
    bench = designed(compute={"evaluation_jobs": "checkpoint"}, evaluation={"tasks": tasks})
    bench.steer.joinpath("lack-rank8-eval-epoch0-again1_epoch0").touch()
    done = bench.ckgit("advance", "demo", "--to", "analyzed", check=False)
    assert done.returncode == Exit.JOBS_FAILED
    return bench


LACK = "again1_epoch0: there is no log of it"


def test_a_cell_that_is_refused_is_named_and_the_others_of_its_job_are_kept(partial: Bench) -> None:
    failed = partial.latest("rank8/eval/epoch0")
    assert (failed.phase, failed.reason) == (Phase.FAILED, f"{LACK} (4 of its 5 cells count)")
    assert {cell: why for cell, why in failed.cells.items() if why} == {"again1_epoch0": "there is no log of it"}
    logs = "experiments/demo/rank8/eval/logs/"  # which of the last commits brought them is a matter of time
    kept = [path.removeprefix(logs) for path in partial.snapshot.list(logs)]
    assert kept == [f"{task}_epoch0.json" for task in ("again0", "again2", "again3", "capitalization")]
    for command in ("status", "why"):
        assert f"{LACK} (4 of its 5 cells count)" in partial.ckgit(command, "demo").stdout
    view = open_experiment(partial.lab, "demo")
    rows = [(row.cell, row.condition) for row in job_rows(view.context, view.ledger) if row.run == "rank8" and row.cell]
    assert [state for _, state in rows] == ["done", "done", "failed", "done", "done"]
    summary = (partial.snapshot.read("experiments/demo/experiment_summary.md") or b"").decode()
    assert "14 of 15 done, 1 failed." in summary
    assert "| rank8 | again1_epoch0 | failed (output-missing) |" in summary
    shown = partial.ckgit("show", "demo").stdout
    assert "1 of 2, 4 of 5 cells" in shown
    jobs = json.loads(partial.ckgit("show", "demo", "--json").stdout)["runs"][1]["jobs"]
    assert (jobs[1]["condition"], jobs[1]["cells"]) == ("failed", failed.cells)


def test_a_retry_evaluates_only_the_cell_that_was_refused(partial: Bench) -> None:
    partial.steer.joinpath("lack-rank8-eval-epoch0-again1_epoch0").unlink()
    partial.ckgit("retry", "demo")
    token = partial.latest("rank8/eval/epoch0").token
    printed = (partial.work / ".ckgit/jobs" / token / "output").read_text()
    assert [line for line in printed.splitlines() if line.startswith("evaluates ")] == ["evaluates again1_epoch0"]
    partial.ckgit("advance", "demo", "--to", "analyzed")
    assert len(cells(partial)) == 15


def test_what_is_accepted_as_missing_is_the_cell_and_the_others_are_reported(partial: Bench) -> None:
    partial.ckgit("advance", "demo", "--to", "analyzed", "--accept-missing")
    assert "14 of 15 evaluations done." in partial.message("exp/demo~1")
    assert f"Accepted as missing:\n\n- rank8/eval/epoch0: {LACK}\n" in partial.message("exp/demo~1")
    (rank8,) = [run for run in Results.model_validate_json(partial.results()).runs if run.name == "rank8"]
    assert rank8.missing == (f"rank8/eval/epoch0: {LACK}",)
    assert [cell.task for cell in rank8.cells] == ["capitalization", "again0", "again2", "again3"]
    status = partial.ckgit("status", "demo").stdout
    assert "accepted as missing: rank8/eval/epoch0: again1_epoch0 (4 of its 5 cells count)" in status


def test_an_attempt_that_never_started_takes_nothing_from_the_cells_that_count(partial: Bench) -> None:
    partial.hold("rank8/eval/epoch0")
    partial.ckgit("retry", "demo", "--no-wait", check=False)
    partial.ckgit("cancel", "demo")
    partial.ckgit("advance", "demo", "--to", "analyzed", "--accept-missing")
    (rank8,) = [run for run in Results.model_validate_json(partial.results()).runs if run.name == "rank8"]
    assert rank8.missing == ("rank8/eval/epoch0: again1_epoch0: cancelled by ckgit cancel",)
    assert len(rank8.cells) == 4
