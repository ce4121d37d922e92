import re
from typing import Any

import pytest

from ckgit.analysis.assemble import assemble
from ckgit.analysis.report import render
from ckgit.experiment.accounting import Accounting
from ckgit.experiment.jobs import FailureClass, Phase
from ckgit.experiment.results import Judgement, Metric, Results, TokenCheck
from tests.analysis.build import attempt, cell, context, jobs, ledger, left

RIGHT = {"rank4": 30, "rank8": 36, "base": 2}
NO_CLAIMS = {"name": "cap_lora", "question": "q", "date": "2026-11-23"}


def results(**changes: Any) -> Results:
    here = context(**changes)
    return assemble(here, jobs(here), left(here, RIGHT), {}, Accounting())


def report() -> str:
    here = context()
    return render(here, ledger(*map(attempt, jobs(here))), results(), ["loss.svg", "scores.svg"]).decode()


def test_runs_have_their_training_and_cells_in_the_designs_order() -> None:
    found = results()
    assert [(run.name, run.training is not None, [cell.epoch for cell in run.cells]) for run in found.runs] == [
        ("rank4", True, [0, 1]),
        ("rank8", True, [0, 1]),
        ("base", False, [None]),
    ]
    assert [verdict.judgement for verdict in found.claims] == [Judgement.SUPPORTED, Judgement.SUPPORTED]


def test_results_survive_a_round_trip() -> None:
    found = results()
    assert Results.model_validate_json(found.model_dump_json(indent=2)) == found


def test_evaluation_that_saw_other_tokens_is_refused() -> None:
    here = context()
    found = left(here, RIGHT)
    other = cell("rank4", 30, epoch=1, tokens=TokenCheck(rows=40, sha256="f" * 64))
    with pytest.raises(ValueError, match="evaluation saw other tokens than training"):
        assemble(here, jobs(here), {**found, "rank4/eval/capitalization_epoch1": [other]}, {}, Accounting())


def test_training_may_have_looked_at_fewer_rows() -> None:
    here = context()
    other = cell("rank4", 30, epoch=1, tokens=TokenCheck(rows=90, sha256="f" * 64))
    found = assemble(here, jobs(here), {**left(here, RIGHT), "rank4/eval/capitalization_epoch1": [other]}, {}, Accounting())
    assert "| the same for the first 40 rows |" in render(here, None, found, []).decode()


def test_a_metric_that_is_no_number_is_a_remark() -> None:
    here = context(experiment=NO_CLAIMS)
    metrics = (Metric(scorer="match", name="f1", value=float("nan"), samples=40),)
    odd = cell("base", 2, metrics=metrics)
    found = assemble(here, jobs(here), {**left(here, RIGHT), "base/eval/capitalization_base": [odd]}, {}, Accounting())
    assert found.runs[2].cells[0].metrics == ()
    assert "f1 of match is nan, which is no number" in render(here, None, found, []).decode()


def test_the_report_answers_what_a_reader_asks() -> None:
    text = report()
    for line in (
        "# cap_lora",
        "Does a higher rank learn to capitalize better?",
        "Rank 8 beats the base model by half.",
        "| accuracy on capitalization: rank8 greater than base by at least 0.5 | supported | 0.9 (epoch 1) | 0.05 | 0.850 ± 0.057 |",
        "| rank4 | 1 | match | accuracy | 0.750 ± 0.069 | 40 | 7 s |",
        "| torch | 2.13.0 | 2.13.0 |",
        "| words | data/words.json | train 80, test 40 | 1,234 |",
        "| tiny | llama | 330,000 | float32 |",
        "7 jobs of 7 attempts, by scheduler local of cluster local on here, from the files of commit `cccccccccccc`.",
        "![Training loss by step, for each run](loss.svg)",
        "| rank8 | capitalization epoch 1 | 40 | 0123456789ab | 0123456789ab on 2026-11-23 | 258 | the same |",
    ):
        assert line in text
    assert re.search(r"\| rank8 \| fine-tuned \| 8 \| 60 \| 0\.\d+ \| 1:23 \| – \|", text)  # noqa: RUF001
    assert "What failed" not in text


def test_what_failed_and_what_is_missing_is_named() -> None:
    here = context()
    names = {job.name: job for job in jobs(here)}
    gone = "rank8/eval/capitalization_epoch1"
    kept = {name: result for name, result in left(here, RIGHT).items() if name != gone}
    found = assemble(here, jobs(here), kept, {gone: "killed"}, Accounting())
    tried = [
        attempt(names["rank4/finetune"], Phase.FAILED, failure=FailureClass.DIVERGED, reason="the loss is nan at step 3"),
        attempt(names["rank4/finetune"], number=2),
        attempt(names[gone], Phase.FAILED, failure=FailureClass.LOST, reason="killed"),
    ]
    text = render(here, ledger(*tried, missing=(gone,)), found, []).decode()
    assert f"- {gone}: killed" in text
    assert "| rank4/finetune | 1 | diverged | the loss is nan at step 3 |" in text
    assert found.claims[0].left_epoch == 0  # what is there is judged, and says which epoch it is


def test_a_computed_standard_error_is_marked() -> None:
    here = context(experiment=NO_CLAIMS)
    bare = cell("base", 20, metrics=(Metric(scorer="match", name="accuracy", value=0.5, samples=40),))
    found = assemble(here, jobs(here), {**left(here, RIGHT), "base/eval/capitalization_base": [bare]}, {}, Accounting())
    assert "| base | – | match | accuracy | 0.500 ± 0.080 * |" in render(here, None, found, []).decode()  # noqa: RUF001


def test_nothing_is_claimed_where_nothing_was_evaluated() -> None:
    here = context(experiment=NO_CLAIMS, tools={"evaluation": "none"}, evaluation={}, runs=[])
    found = assemble(here, jobs(here), left(here, RIGHT), {}, Accounting())
    text = render(here, None, found, ["loss.svg"]).decode()
    assert "## Runs" in text
    for absent in ("## Scores", "## Claims", "## Same tokens", "standard error"):
        assert absent not in text
