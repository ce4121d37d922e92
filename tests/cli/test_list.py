import json
import subprocess

import pytest
from click.testing import CliRunner

from ckgit.cli import group
from ckgit.lab.lab import Lab
from tests.orchestrators.bench import Bench


def listed(lab: Lab, *words: str) -> str:
    done = CliRunner().invoke(group, ["-C", str(lab.root), "list", *words], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def git(lab: Lab, *words: str) -> None:
    subprocess.run(["git", *words], cwd=lab.root, check=True, capture_output=True)


def test_a_lab_without_experiments(lab: Lab) -> None:
    assert listed(lab) == "no experiments yet; `ckgit design NAME` makes the first one\n"
    assert json.loads(listed(lab, "--json")) == {"experiments": []}


@pytest.mark.usefixtures("bench")
def test_each_with_its_state(lab: Lab) -> None:
    header, row = listed(lab).splitlines()
    assert header.split() == ["experiment", "state", "last", "event", "when", "note"]
    assert row.split()[:3] == ["demo", "designed", "design"]


def test_as_one_document(lab: Lab, bench: Bench) -> None:
    [row] = json.loads(listed(lab, "--json"))["experiments"]
    assert row["name"] == "demo"
    assert row["tip"] == bench.snapshot.tip
    assert (row["state"], row["event"], row["note"]) == ("designed", "design", "")
    assert "T" in row["date"]


@pytest.mark.usefixtures("bench")
def test_an_experiment_whose_state_cannot_be_told_is_listed_with_the_reason(lab: Lab) -> None:
    git(lab, "branch", "exp/empty", "main")
    lines = listed(lab).splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["demo", "designed"], ["empty", "unknown"]]
    assert lines[2].endswith("no experiment_summary.md")
