"""What is proposed for the name of a run that does not exist."""

import pytest

from ckgit.experiment.checks.run_names import instead_of_run

RUNS = ["lr0.01", "lr2e-3", "rank8_lr0.0001", "base"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("lr1e-2", "lr0.01"),
        ("lr0.002", "lr2e-3"),
        ("LR=0.010", "lr0.01"),
        ("lora_rank8_lr1e-4", "rank8_lr0.0001"),
        ("lr1e-4_rank8", "rank8_lr0.0001"),
        ("bass", "base"),
        ("lt0.01", "lr0.01"),
    ],
)
def test_a_run_of_the_same_values_is_meant(name, meant):
    assert instead_of_run(name, RUNS) == f"; did you mean {meant}?"


@pytest.mark.parametrize("name", ["lr1e-3", "lr2e-2", "rank8", "control"])
def test_a_run_of_other_values_is_never_proposed(name):
    assert instead_of_run(name, RUNS) == " (the runs are lr0.01, lr2e-3, rank8_lr0.0001, base)"


def test_of_many_runs_the_first_are_listed():
    assert instead_of_run("x", [f"rank{number}" for number in range(1, 13)]).endswith("rank9, rank10 and 2 more)")
