"""What a self-hosted runner takes on."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from ckgit.errors import Exit
from docs.generate import ROOT
from tests.command_line import ckgit
from tests.conftest import run_git
from tests.forges.github.api import FORK, REPOSITORY
from tests.forges.github.lab import LabOnGitHub

RUN = ".github/workflows/experiment-run.yml"
EVIL = "name: experiment-run\non: push\njobs: {x: {runs-on: [self-hosted, slurm], steps: [{run: sbatch evil}]}}\n"


def guard(lab: LabOnGitHub, commit: str, path: str = RUN, repository: str = REPOSITORY, **given: str) -> subprocess.CompletedProcess[str]:
    asking = {"GITHUB_REPOSITORY": repository, "GITHUB_WORKFLOW_REF": f"{repository}/{path}@refs/pull/7/merge"}
    return ckgit("-C", str(lab.clone), "ci", "guard", **{**asking, "GITHUB_WORKFLOW_SHA": commit, **given})


def other(folder: Path, files: dict[str, str]) -> str:
    """A commit that changes workflows, and nothing else."""
    run_git(folder, "switch", "--quiet", "--detach", "origin/main")
    for path, text in files.items():
        (folder / path).write_text(text)
    run_git(folder, "add", ".github")
    run_git(folder, "commit", "--quiet", "--message=Mine")
    return run_git(folder, "rev-parse", "HEAD")


@pytest.fixture
def lab(lab_on_github: LabOnGitHub) -> LabOnGitHub:
    run_git(lab_on_github.bench.folder, "fetch", "--quiet", "origin")
    return lab_on_github


def pushed(lab: LabOnGitHub, files: dict[str, str]) -> str:
    """Such a commit in the lab's own repository, as a branch or as what a fork's pull request would be merged to."""
    commit = other(lab.bench.folder, files)
    run_git(lab.origin, "fetch", "--quiet", "--no-write-fetch-head", str(lab.bench.folder), "+HEAD:refs/pull/7/merge")
    return commit


def test_a_job_of_the_default_branchs_workflow_is_taken(lab: LabOnGitHub) -> None:
    assert guard(lab, run_git(lab.origin, "rev-parse", "main")).returncode == 0
    merged = pushed(lab, {".github/notes.md": "nothing that runs"})
    assert guard(lab, merged).stdout == f"{RUN} is as main has it\n"


@pytest.mark.parametrize(
    ("files", "path"), [({RUN: EVIL}, RUN), ({".github/workflows/mine.yml": EVIL}, ".github/workflows/mine.yml")], ids=["changed", "new"]
)
def test_a_workflow_that_a_pull_request_brings_is_refused(lab: LabOnGitHub, files: dict[str, str], path: str) -> None:
    done = guard(lab, pushed(lab, files), path)
    assert (done.returncode, f"{path} is not as main has it" in done.stderr) == (Exit.NOT_APPROVED, True)


def test_one_that_the_default_branch_has_mended_is_refused_too(lab: LabOnGitHub) -> None:
    before = run_git(lab.origin, "rev-parse", "main")
    run_git(lab.bench.folder, "push", "--quiet", "origin", f"{other(lab.bench.folder, {RUN: EVIL + '# mended'})}:refs/heads/main")
    assert guard(lab, before).returncode == Exit.NOT_APPROVED


def test_another_repositorys_job_and_what_is_none_are_refused(lab: LabOnGitHub) -> None:
    main = run_git(lab.origin, "rev-parse", "main")
    assert guard(lab, main, repository=FORK).returncode == Exit.NOT_APPROVED
    for given in (
        {"GITHUB_WORKFLOW_REF": f"{FORK}/{RUN}@refs/heads/main"},
        {"GITHUB_WORKFLOW_REF": f"{REPOSITORY}/.github/workflows/../../{RUN}@refs/heads/main"},
        {"GITHUB_WORKFLOW_REF": f"{REPOSITORY}/tasks/capitalization.py@refs/heads/main"},
        {"GITHUB_WORKFLOW_REF": f"{REPOSITORY}/.github/workflows/none.yml@refs/heads/main"},
        {"GITHUB_WORKFLOW_SHA": "--upload-pack=touch pwned"},
        {"GITHUB_WORKFLOW_SHA": "main"},
    ):
        assert guard(lab, main, **given).returncode == Exit.NOT_APPROVED, given
    assert list(lab.top.rglob("pwned")) == []


def test_where_the_repository_does_not_answer_nothing_is_taken(lab: LabOnGitHub) -> None:
    main = run_git(lab.origin, "rev-parse", "main")
    lab.origin.rename(lab.origin.with_name("elsewhere.git"))
    assert guard(lab, main).returncode == Exit.UNKNOWN
    assert ckgit("-C", str(lab.clone), "ci", "guard").returncode == Exit.USAGE


def test_the_runner_asks_as_the_page_says(lab: LabOnGitHub) -> None:
    page = (ROOT / "docs/ci-github.md").read_text()
    (script,) = re.findall(r"^```bash\n(.*?ci guard\n)```$", page, re.DOTALL | re.MULTILINE)
    main = run_git(lab.origin, "rev-parse", "main")
    asking = {"GITHUB_REPOSITORY": REPOSITORY, "GITHUB_WORKFLOW_REF": f"{REPOSITORY}/{RUN}@refs/heads/main", "CKGIT_LAB": str(lab.clone)}
    for commit, code in ((main, 0), (pushed(lab, {RUN: EVIL}), Exit.NOT_APPROVED)):
        environment = {**os.environ, **asking, "GITHUB_WORKFLOW_SHA": commit}
        assert subprocess.run(["bash", "-c", script], env=environment, capture_output=True, check=False).returncode == code
