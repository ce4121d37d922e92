"""Runs that were made with other versions than each other are named as such."""

from __future__ import annotations

from typing import Any

from ckgit.analysis.assemble import assemble
from ckgit.analysis.report import render
from ckgit.analysis.versions import MOST_NAMED, by_package
from ckgit.experiment.accounting import Accounting
from ckgit.experiment.design.model import RunType
from ckgit.experiment.results import Results, RunRow
from ckgit.formats.markdown import NOTHING
from tests.analysis.build import DESIGN, cell, context, jobs, ledger, left, training

RIGHT = {"rank4": 30, "rank8": 36, "base": 2}
NEW = {"torch": "2.13.1", "torchtune": "0.6.1"}


def results(**made: Any) -> Results:
    here = context()
    return assemble(here, jobs(here), {**left(here, RIGHT), **made}, {}, Accounting())


def other() -> Results:
    """Rank 8 was trained, and its last epoch evaluated, with a newer torch."""
    trained = training("rank8").model_copy(update={"versions": NEW})
    evaluated = cell("rank8", 36, epoch=1, versions={"inspect_ai": "0.3.285", "torch": "2.13.1"})
    return results(**{"rank8/finetune": [trained], "rank8/eval/capitalization_epoch1": [evaluated]})


def test_a_claim_over_runs_of_one_version_says_nothing_of_versions() -> None:
    assert [verdict.reason for verdict in results().claims if "version" in verdict.reason] == []


def test_a_claim_that_compares_runs_of_different_versions_says_which_had_which() -> None:
    base, rank4 = other().claims
    assert base.reason.endswith("; the two runs used different tool versions: evaluation of rank8 had torch 2.13.1, that of base 2.13.0")
    assert rank4.reason.endswith(
        "; the two runs used different tool versions: training of rank8 had torch 2.13.1, that of rank4 2.13.0; "
        "evaluation of rank8 had torch 2.13.1, that of rank4 2.13.0"
    )
    assert [verdict.judgement for verdict in other().claims] == [verdict.judgement for verdict in results().claims]


def test_a_claim_about_settings_says_which_of_their_runs_had_which() -> None:
    claim = {"metric": "accuracy", "task": "capitalization", "left": {"lora_rank": 8}, "right": {"lora_rank": 4}, "direction": "greater"}
    about = {**DESIGN["experiment"], "claims": [claim]}
    here = context(experiment=about, variables={"lora_rank": [4, 8], "seed": [1, 2]})
    found = left(here, {run.name: 20 + number for number, run in enumerate(here.plan.runs)})
    newer = training("rank8_seed2").model_copy(update={"versions": NEW})
    [same] = assemble(here, jobs(here), found, {}, Accounting()).claims
    [verdict] = assemble(here, jobs(here), {**found, "rank8_seed2/finetune": [newer]}, {}, Accounting()).claims
    told = "the runs used different tool versions: training: torch 2.13.0 (rank8_seed1, rank4_seed1, rank4_seed2), 2.13.1 (rank8_seed2)"
    assert verdict.reason == f"{same.reason}; {told}"


def test_the_report_says_which_run_had_which_version_where_they_differ() -> None:
    report = render(context(), ledger(), other(), []).decode()
    assert "| torch | 2.13.0 (rank4), 2.13.1 (rank8) | 2.13.0 (rank4, rank8, base), 2.13.1 (rank8) |" in report
    assert f"| torchtune | 0.6.1 | {NOTHING} |" in report
    assert "training of rank8 had torch 2.13.1, that of rank4 2.13.0" in report


def test_of_many_runs_some_are_named() -> None:
    rows = [RunRow(name=f"run{n}", type=RunType.FINE_TUNED, training=training(f"run{n}")) for n in range(MOST_NAMED + 2)]
    newer = RunRow(name="new", type=RunType.FINE_TUNED, training=training("new").model_copy(update={"versions": NEW}))
    assert by_package([*rows, newer])["torch"]["training"] == "2.13.0 (run0, run1, run2, run3, run4 and 2 more), 2.13.1 (new)"
