"""The way of docs/review.md: design, pull request, review, approval, run, results, review, merge, branch deleted, still verified."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from ckgit.errors import Exit
from ckgit.forges.github.comment import MARKER
from tests.by_hand import commit_by_hand
from tests.command_line import ckgit
from tests.conftest import run_git
from tests.forges.github.conftest import github, lab_on_github  # noqa: F401 - fixtures
from tests.forges.github.lab import PULL, LabOnGitHub
from tests.forges.github.test_review import commented, reviewed
from tests.orchestrators.conftest import tiny_package  # noqa: F401 - a fixture
from tests.slurm.test_ci import approved, events, lab  # noqa: F401 - a fixture
from tests.slurm.test_engine import bench  # noqa: F401 - a fixture


def commented_on(lab: LabOnGitHub, name: str, code: int = 0) -> str:  # noqa: F811
    """What the one comment says after a review."""
    done = reviewed(lab, name=name)
    assert done.code == code, done.steps
    assert commented(lab, done, name=f"{name}-hosted").code == 0
    (body,) = lab.github.bodies(PULL)
    assert body.splitlines()[0] == MARKER
    return body


def push_main(folder: Path) -> None:
    run_git(folder, "push", "--quiet", "origin", "main")


@pytest.mark.slow
def test_an_experiment_goes_from_its_design_to_the_record(lab: LabOnGitHub, slurm) -> None:  # noqa: F811
    config = lab.bench.folder / "ckgit.toml"
    config.write_text(config.read_text().replace("[review]", "[review]\ngpu_hours = 0.000001"))
    run_git(lab.bench.folder, "commit", "--quiet", "--all", "--message=A budget")
    push_main(lab.bench.folder)
    head = lab.push()

    # the design is reviewed; it takes somebody's approval, and a change after that takes another one
    body = commented_on(lab, "design", Exit.NOT_APPROVED)
    assert "a design that needs an approval" in body.splitlines()[1]
    lab.github.review(PULL, "ada", head)
    assert "approved by ada" in commented_on(lab, "approved")
    commit_by_hand(lab.bench.folder, "notes.md", "What I expect\n")
    head = lab.push()
    commented_on(lab, "changed", Exit.NOT_APPROVED)
    assert approved(lab, slurm, "too-early").names[-1] == "Ask whether it may start"
    lab.github.review(PULL, "ada", head)

    # the runner submits and ends; the cluster takes the experiment to its report, and pushes each step
    started = approved(lab, slurm)
    assert (started.code, started.names[-1]) == (0, "Submit"), started.steps
    lab.bench.until(lambda: "analyze" in events(lab), seconds=240)
    lab.pull("exp/demo", at=lab.origin)
    body = commented_on(lab, "results")
    assert "nothing was claimed" in body.splitlines()[1]
    assert "a design" not in body

    # it is merged, its branch is deleted, and whoever clones the lab then can still verify it
    run_git(lab.bench.folder, "fetch", "--quiet", "origin")
    run_git(lab.bench.folder, "switch", "--quiet", "main")
    run_git(lab.bench.folder, "merge", "--quiet", "--no-ff", "--message=Merge exp/demo", "origin/exp/demo")
    push_main(lab.bench.folder)
    run_git(lab.bench.folder, "push", "--quiet", "origin", ":exp/demo")
    later = lab.bench.clone("later", of=lab.origin)
    run_git(later.folder, "fetch", "--quiet", "origin", "refs/ckgit/anchors/*:refs/ckgit/anchors/*")
    (found,) = json.loads(later.ckgit("verify", "demo", "--json").stdout)["experiments"]
    assert [each["severity"] for each in found["findings"]] == ["note"]  # what the server has attested
    assert re.match(r"(\d) of \1 steps that can be attested are", found["findings"][0]["message"])  # a submit more, where jobs are accounted
    assert "demo" in later.ckgit("list").stdout
    assert "analyze" in later.ckgit("log", "demo").stdout
    assert "rank8" in later.ckgit("show", "demo").stdout
    again = ckgit("-C", str(later.folder), "design", "demo", "--like", "demo")
    assert again.returncode == Exit.USAGE, again.stderr
    assert "demo" in again.stderr


def test_a_design_that_is_rejected_stays_to_be_found(lab: LabOnGitHub, slurm) -> None:  # noqa: F811
    lab.push()
    commented_on(lab, "design")
    author = lab.bench
    author.ckgit("close", "demo", "--because", "The same was asked in spring")
    lab.pull("exp/demo")
    assert "The same was asked in spring" in commented_on(lab, "closed")
    run_git(author.folder, "push", "--quiet", "origin", ":exp/demo")
    taken = ["git", "push", "origin", ":refs/ckgit/closed/demo"]
    refused = subprocess.run(taken, cwd=author.folder, capture_output=True, text=True, check=False)
    assert (refused.returncode, "keeps an experiment that was closed" in refused.stderr) == (1, True)
    later = lab.bench.clone("later", of=lab.origin)
    run_git(later.folder, "fetch", "--quiet", "origin", "refs/ckgit/closed/*:refs/ckgit/closed/*")
    later.ckgit("verify", "demo")
    assert "The same was asked in spring" in later.ckgit("log", "demo").stdout
