"""What trains a setting again with the same seed is no second seed: for claims, comparisons, tables, plans and curves alike."""

from __future__ import annotations

from typing import Any

import pytest

from ckgit.analysis.assemble import assemble
from ckgit.analysis.planning.claims import Beforehand, planned_claims
from ckgit.analysis.plots.curves import groups
from ckgit.analysis.report import render
from ckgit.experiment.accounting import Accounting
from ckgit.experiment.claims.settings import of_each_seed, settings_of
from ckgit.experiment.results import Results
from tests.analysis.build import DESIGN, cell, context, jobs, ledger, training

CLAIM = {"metric": "accuracy", "task": "capitalization", "left": {"lora_rank": 8}, "right": {"lora_rank": 4}, "direction": "greater"}
TWICE: dict[str, Any] = {
    "experiment": {**DESIGN["experiment"], "claims": [CLAIM]},
    "variables": {"lora_rank": [4, 8], "seed": [1, 2]},
    "runs": [{"name": "twice", "parameters": {"lora_rank": 8, "seed": 2, "log_every_n_steps": 5}}],
    "evaluation": {"tasks": [{"name": "capitalization"}]},
}
RIGHT = {"rank4_seed1": 12, "rank4_seed2": 16, "rank8_seed1": 20, "rank8_seed2": 26, "twice": 40}


@pytest.fixture(scope="module")
def results() -> Results:
    here = context(**TWICE)
    left = {job.name: [training(job.run)] if job.name.endswith("finetune") else [cell(job.run, RIGHT[job.run])] for job in jobs(here)}
    return assemble(here, jobs(here), left, {}, Accounting())


def test_of_each_seed_the_first_counts_and_what_has_none_counts_by_itself() -> None:
    seeds = {"a": 1, "b": None, "c": 1, "d": 2, "e": None, "f": 2}
    assert of_each_seed(seeds, seeds.get) == (["a", "b", "d", "e"], ["c", "f"])


def test_claims_comparisons_and_tables_count_the_same_runs(results: Results) -> None:
    [verdict], [pair] = results.claims, results.comparisons
    claimed = {each.setting: each.runs for each in verdict.settings}
    assert claimed == {"lora_rank 4": ("rank4_seed1", "rank4_seed2"), "lora_rank 8": ("rank8_seed1", "rank8_seed2")}
    assert {each.setting: each.runs for each in results.settings} == claimed
    assert [each.again for each in results.settings] == [(), ("twice",)]
    assert pair.seeds == (2, 2)
    assert pair.difference == -(verdict.difference or 0)
    assert (pair.low, pair.high) == pytest.approx((-(verdict.high or 0), -(verdict.low or 0)))
    assert [run.name for run in results.runs if run.again] == ["twice"]


def test_the_report_says_which_run_is_left_out_and_its_curve_is_no_seeds(results: Results) -> None:
    text = render(context(**TWICE), ledger(), results, {}, {}).decode()
    assert "twice: left out, as its seed is there already" in text
    assert [[run.name for run in group.runs] for group in groups(results.runs)] == [
        ["rank4_seed1", "rank4_seed2"],
        ["rank8_seed1", "rank8_seed2"],
        ["twice"],
    ]


def test_a_plan_counts_seeds_and_not_runs() -> None:
    here = context(**{**TWICE, "variables": {"lora_rank": [4, 8]}, "controls": {"epochs": 2, "seed": 2}})
    asked = {(each.run, each.task.name): 40 for each in here.plan.cells}
    [planned] = planned_claims(here.summary, here.plan, Beforehand(asked))
    assert planned.power.seeds == (1,)
    assert planned.power.smallest is None
    assert [each.seeds for each in settings_of(here.plan.runs, here.summary.parameters)] == [1, 1]
