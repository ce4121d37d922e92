"""experiment-run: an approval starts an experiment on the cluster, which takes it to its report and pushes each commit."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.lab.lab import open_lab
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.schedulers.slurm.scheduler import scheduler
from tests.by_hand import commit_by_hand
from tests.conftest import run_git
from tests.forges.github.conftest import github, lab_on_github  # noqa: F401 - fixtures
from tests.forges.github.lab import PULL, LabOnGitHub
from tests.forges.github.workflows import Ended
from tests.orchestrators.conftest import tiny_package  # noqa: F401 - a fixture
from tests.slurm.test_engine import bench  # noqa: F401 - a fixture


@pytest.fixture
def lab(lab_on_github: LabOnGitHub, slurm) -> Iterator[LabOnGitHub]:  # noqa: F811
    """The runner's own clone commits as itself, by a key that asks nobody."""
    for name, value in {"user.name": "The Runner", "user.email": "runner@example.org"}.items():
        run_git(lab_on_github.clone, "config", name, value)
    yield lab_on_github
    snapshot = take_snapshot(open_lab(lab_on_github.clone), "demo")
    if (ledger := snapshot.ledger()) and ledger.work_tree:
        scheduler.cancel(lab_on_github.bench.lab.cluster(), Path(ledger.work_tree), ledger.attempts)


def approved(lab: LabOnGitHub, slurm, name: str = "runner") -> Ended:
    """What experiment-run does when `ada` has approved."""
    payload = lab.event("pull_request_review", review={"state": "approved", "user": {"login": "ada"}})
    done = lab.runner(name).job("experiment-run", "run", payload, "pull_request_review", **slurm.environment)
    assert done
    return done


@pytest.mark.slow
def test_an_approval_starts_it_and_the_cluster_goes_on_alone(lab: LabOnGitHub, slurm) -> None:
    head = lab.push()
    lab.github.review(PULL, "ada", head)
    lab.bench.hold()
    done = approved(lab, slurm)
    assert (done.code, done.names[-1]) == (0, "Submit"), done.steps
    assert "is left to its cluster" in done.steps[-1].out
    assert "submit" in events(lab)  # pushed before CI has ended
    assert lab.bench.executions() == [] or "train" not in events(lab)
    lab.bench.go()
    lab.bench.until(lambda: "analyze" in events(lab), seconds=240)
    assert [event for event in events(lab) if event != "submit"] == ["design", "scaffold", "train", "evaluate", "analyze"]
    assert len(lab.bench.executions()) == 5
    lab.pull("exp/demo", at=lab.origin)
    again = approved(lab, slurm, "again")  # the approval was of the design
    assert (again.code, again.names[-1]) == (0, "Ask whether it may start")


def test_what_was_pushed_after_the_approval_is_not_started(lab: LabOnGitHub, slurm) -> None:
    lab.github.review(PULL, "ada", lab.push())
    commit_by_hand(lab.bench.folder, "notes.md", "not what was approved\n")
    run_git(lab.bench.folder, "push", "--quiet", "origin", "exp/demo")  # and GitHub does not know it of the pull request yet
    done = approved(lab, slurm)
    assert done.code == Exit.BRANCH_MOVED
    assert (events(lab), slurm.ask("squeue", "-h")) == (["design"], "")
    assert take_snapshot(open_lab(lab.clone), "demo").state is State.DESIGNED


def events(lab: LabOnGitHub) -> list[str]:
    """What the steps on the branch are, as GitHub has it."""
    form = "%(trailers:key=Ckgit-Event,valueonly,separator=%x2C)"
    words = ["git", "log", f"--format={form}", "--topo-order", "--reverse", "main..exp/demo"]
    return subprocess.run(words, cwd=lab.origin, capture_output=True, text=True, check=True).stdout.split()
