"""experiment-review and experiment-comment: from a push to the comment."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ckgit import __version__
from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.forges.github.comment import MARKER, WORKFLOW
from tests.by_hand import commit_by_hand
from tests.conftest import run_git
from tests.forges.github.api import FORK, REPOSITORY
from tests.forges.github.lab import PULL, LabOnGitHub
from tests.forges.github.openapi import event
from tests.forges.github.workflows import TEXTS, WORKFLOWS, Ended


def reviewed(lab: LabOnGitHub, *, fork: bool = False, name: str = "runner") -> Ended:
    """What both jobs of the review do for the pull request: one of them runs."""
    job, other = ("review-fork", "review") if fork else ("review", "review-fork")
    runner = lab.runner(name, hosted=fork)
    assert runner.job("experiment-review", other, lab.event(), "pull_request") is None
    done = runner.job("experiment-review", job, lab.event(), "pull_request")
    assert done
    assert runner.installed == ([f"-m pip install ckgit[review]=={__version__}"] if fork else [])
    return done


def commented(lab: LabOnGitHub, review: Ended, repository: str = REPOSITORY, name: str = "hosted") -> Ended:
    """What the comment's workflow does after it."""
    pull = lab.github.pulls[PULL]
    lab.github.artifacts[11] = dict(review.artifacts)
    run = {"id": 11, "path": WORKFLOW, "event": "pull_request", "conclusion": "failure" if review.code else "success"}
    run |= {"head_sha": pull["head"]["sha"], "head_branch": pull["head"]["ref"], "head_repository": {"full_name": repository}}
    run["repository"] = {"full_name": REPOSITORY}
    about = {"full_name": REPOSITORY, "default_branch": "main"}
    payload = event("workflow_run", "WebhookWorkflowRunCompleted", repository=about, workflow_run=run)
    done = lab.runner(name, hosted=True).job("experiment-comment", "comment", payload, "workflow_run")
    assert done
    return done


@pytest.mark.slow
def test_a_design_is_reviewed_and_then_its_results_in_the_same_comment(lab_on_github: LabOnGitHub) -> None:
    lab = lab_on_github
    lab.push()
    done = reviewed(lab)
    assert done.code == 0, done.steps
    assert done.summary.startswith(f"{MARKER}\n")
    assert set(done.artifacts) == {"experiment-review", "experiment-report"}
    assert commented(lab, done).code == 0
    (design,) = lab.github.bodies(PULL)
    lab.bench.advance(State.ANALYZED)
    lab.push()
    done = reviewed(lab, name="again")
    assert done.code == 0, done.steps
    assert commented(lab, done, name="hosted again").code == 0
    (results,) = lab.github.bodies(PULL)
    assert (design == results, "demo" in results) == (False, True)
    assert [line.split()[0] for line in lab.github.written] == ["POST", "PATCH"]


@pytest.mark.slow
def test_a_job_that_pushes_from_the_runners_clone_at_the_same_time_is_waited_for(lab_on_github: LabOnGitHub) -> None:
    """Its push holds the ref that says where the remote's branch is."""
    lab = lab_on_github
    lab.bench.advance(State.SCAFFOLDED)
    lab.push()
    held = lab.clone / ".git/refs/remotes/origin/exp/demo.lock"
    held.parent.mkdir(parents=True, exist_ok=True)
    held.touch()

    def release() -> None:
        while not (lab.clone / f".git/refs/ckgit/pulls/{PULL}").exists():  # it is fetched before that one
            time.sleep(0.05)
        time.sleep(0.5)  # git itself waits for a tenth of a second
        held.unlink()

    with ThreadPoolExecutor() as threads:
        threads.submit(release)
        done = reviewed(lab)
    assert done.code == 0, done.steps


@pytest.mark.slow
def test_what_does_not_follow_fails_the_check_and_is_commented(lab_on_github: LabOnGitHub) -> None:
    lab = lab_on_github
    lab.push()
    lab.bench.advance(State.SCAFFOLDED)
    commit_by_hand(lab.bench.folder, "rank4/finetune.slurm", "#!/bin/sh\n")
    lab.pull("exp/demo")
    done = reviewed(lab)
    assert done.code == Exit.NOT_VERIFIED
    said = done.steps[-1].out.splitlines()
    stopped, resumed = said[0].removeprefix("::stop-commands::"), said.index(f"::{said[0].removeprefix('::stop-commands::')}::")
    assert (len(stopped), resumed) == (36, 1)  # what else is printed there, GitHub does not obey
    assert any(line.startswith("::error file=experiments/demo/rank4/finetune.slurm") for line in said[resumed:])
    assert commented(lab, done).code == 0
    assert "finetune.slurm" in lab.github.bodies(PULL)[0]


@pytest.mark.slow
def test_a_budget_is_held_until_an_approver_approves(lab_on_github: LabOnGitHub) -> None:
    lab = lab_on_github
    config = lab.bench.folder / "ckgit.toml"
    config.write_text(f"{config.read_text()}gpu_hours = 0\n")
    run_git(lab.bench.folder, "commit", "--quiet", "--all", "--message=Nothing is free")
    run_git(lab.bench.folder, "push", "--quiet", "origin", "main")
    head = lab.push()
    for who, state in (("mallory", "APPROVED"), ("ada", "COMMENTED"), ("ada", "CHANGES_REQUESTED")):
        lab.github.review(PULL, who, head, state)
    before = reviewed(lab).code
    lab.github.review(PULL, "ada", head)
    assert (before, reviewed(lab, name="again").code) == (Exit.NOT_APPROVED, 0)


def test_a_forks_workflow_and_configuration_are_data(lab_on_github: LabOnGitHub, tmp_path: Path) -> None:
    lab = lab_on_github
    fork = tmp_path / "fork"
    run_git(tmp_path, "clone", "--quiet", str(lab.bench.folder), str(fork))
    run_git(fork, "switch", "--quiet", "--create", "exp/evil", "origin/exp/demo")
    files = {
        ".github/workflows/experiment-review.yml": "name: experiment-review\non: pull_request\n",
        "ckgit.toml": "schema_version = 99\n[review]\napprovers = ['mallory']\n",
        "sitecustomize.py": "raise SystemExit(77)\n",
        "ckgit/__init__.py": "raise SystemExit(77)\n",
        "pyproject.toml": "[project]\nname = 'ckgit'\n",
    }
    for path, text in files.items():
        (fork / path).parent.mkdir(parents=True, exist_ok=True)
        (fork / path).write_text(text)
    run_git(fork, "add", "--all")
    run_git(fork, "commit", "--quiet", "--message=::error::@lab/team <!-- ckgit-review -->")
    lab.pull("exp/evil", repository=FORK, at=fork)
    done = reviewed(lab, fork=True)
    workspace = tmp_path / "runner/workspace"
    assert (workspace / "ckgit.toml").read_text() == (lab.bench.folder / "ckgit.toml").read_text()
    assert not (workspace / "sitecustomize.py").exists()
    assert "outside" in done.summary, done.steps
    assert commented(lab, done, FORK).code == Exit.EVIDENCE_MISSING  # it brings a review of its own
    assert lab.github.written == []


@pytest.mark.parametrize("branch", ["exp/$(touch${IFS}pwned)", "exp/;touch pwned", "exp/`id`", "exp/--upload-pack=x", "patch-1"])
def test_a_branch_that_is_called_like_a_command_is_a_name(lab_on_github: LabOnGitHub, branch: str, tmp_path: Path) -> None:
    lab = lab_on_github
    lab.push()
    lab.github.open(PULL, branch, run_git(lab.bench.folder, "rev-parse", "exp/demo"))
    done = lab.runner().job("experiment-review", "review", lab.event(), "pull_request")
    assert (done is None) is not branch.startswith("exp/")
    assert done is None or done.code == 0, done.steps
    assert list(tmp_path.rglob("pwned")) == []


def test_both_jobs_review_alike_and_nothing_of_an_event_is_put_into_a_shell_line() -> None:
    jobs = WORKFLOWS["experiment-review"]["jobs"]
    ours, theirs = ({step.get("name"): step.get("run") for step in jobs[job]["steps"]} for job in ("review", "review-fork"))
    assert ours["Review"] == theirs["Review"]
    for workflow in WORKFLOWS.values():
        for job in workflow["jobs"].values():
            assert all("${{" not in step.get("run", "") for step in job["steps"])
    assert all("secrets." not in text for text in TEXTS.values())
