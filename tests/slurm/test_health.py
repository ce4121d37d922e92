"""Whether SLURM answers is told command by command, with what mends it, and nothing is submitted."""

from __future__ import annotations

import pytest

from ckgit.experiment.cluster import Cluster
from ckgit.schedulers.slurm.health import SlurmAnswer, health


def asked(slurm, monkeypatch: pytest.MonkeyPatch, partition: str = "main") -> list[SlurmAnswer]:
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    return list(health(Cluster(scheduler="slurm", partition=partition)))


def test_all_is_well(slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    before = slurm.names()
    partition = slurm.ask("sinfo", "-h", "-o", "%P").split()[0].rstrip("*")
    found = asked(slurm, monkeypatch, partition)
    assert [(each.what.split(";")[0], each.fault) for each in found] == [
        ("squeue answers", ""),
        ("sacct answers", ""),
        (f"partition {partition} is up", ""),
    ]
    assert slurm.names() == before


def test_a_partition_that_is_not_there_is_serious(slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    *_, last = asked(slurm, monkeypatch, "no-such")
    assert (last.fault, last.serious) == ("there is no partition no-such", True)


def test_without_accounting_jobs_run_nevertheless(fake_slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_slurm.accounting_down():
        _, accounting, partition = asked(fake_slurm, monkeypatch)
    assert (bool(accounting.fault), accounting.serious, partition.fault) == (True, False, "")
    assert accounting.mend


def test_a_controller_that_is_down_is_told_once(fake_slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_slurm.controller("down"):
        [only] = asked(fake_slurm, monkeypatch)
    assert only.fault.startswith("it does not answer: ")
    assert only.serious


def test_a_machine_without_slurm(fake_slurm, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    for name, value in fake_slurm.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", str(tmp_path))
    [only] = health(Cluster(scheduler="slurm"))
    assert "squeue" in only.fault
    assert only.serious
    assert only.mend
