"""experiment-run: who may start an experiment. What starts then is in tests/slurm/test_ci.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ckgit.errors import Exit
from ckgit.experiment.schemas import MODELS
from ckgit.forges.github.approval import Approval, approvals
from ckgit.forges.github.payloads import SubmittedReview
from tests.command_line import ckgit
from tests.conftest import run_git
from tests.forges.github.api import FORK, TOKEN
from tests.forges.github.lab import PULL, LabOnGitHub
from tests.forges.github.workflows import Ended

OLD, NEW = "a" * 40, "b" * 40


def asked(lab: LabOnGitHub, *, state: str = "approved") -> Ended | None:
    """What experiment-run does when somebody has reviewed; the local scheduler cannot be left alone, so it submits nothing."""
    payload = lab.event("pull_request_review", review={"state": state, "user": {"login": "ada"}, "commit_id": OLD})
    return lab.runner(f"runner {len(list(lab.top.glob('runner *')))}").job("experiment-run", "run", payload, "pull_request_review")


def may_start(lab: LabOnGitHub, code: int = 0, *words: str) -> Any:
    """What `ckgit ci may-start` says."""
    event = lab.top / "event.json"
    event.write_text(json.dumps(lab.event("pull_request_review")))
    lab.github.permissions = {"pull-requests": "read"}
    settings = {"GITHUB_EVENT_PATH": str(event), "GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": lab.github.url}
    done = ckgit("-C", str(lab.clone), "ci", "may-start", *words, **settings)
    assert done.returncode == code, done.stderr
    return done


def test_an_approver_starts_what_the_branch_holds(lab_on_github: LabOnGitHub) -> None:
    lab = lab_on_github
    head = lab.push()
    lab.github.review(PULL, "grace", head)  # a login has no case
    assert may_start(lab).stdout == f"experiment=demo\ncommit={head}\n"
    document = may_start(lab, 0, "--json").stdout
    MODELS["may-start-document"][0].model_validate_json(document)
    assert json.loads(document)["by"] == ["grace"]
    done = asked(lab)
    assert done
    assert done.names == ["Fetch the default branch", "Ask whether it may start", "Submit"]
    assert "local" in done.steps[-1].err  # the scheduler that jobs cannot be left to


def refused(lab: LabOnGitHub, why: str) -> None:
    assert why in may_start(lab, Exit.NOT_APPROVED).stderr
    done = asked(lab)
    assert done is None or (done.code, done.names[-1]) == (0, "Ask whether it may start")
    assert run_git(lab.clone, "for-each-ref", "refs/heads/exp") == ""


def test_where_github_does_not_answer_nothing_starts(lab_on_github: LabOnGitHub) -> None:
    lab_on_github.push()
    lab_on_github.github.url = "http://127.0.0.1:9"
    assert "does not answer" in may_start(lab_on_github, Exit.UNKNOWN).stderr
    done = asked(lab_on_github)
    assert done
    assert (done.code, done.names[-1]) == (1, "Ask whether it may start")


def test_who_is_no_approver_starts_nothing(lab_on_github: LabOnGitHub) -> None:
    lab = lab_on_github
    head = lab.push()
    refused(lab, "none of Grace, ada has approved it")
    lab.github.review(PULL, "mallory", head)
    lab.github.review(PULL, "ada", head, "COMMENTED")
    refused(lab, "none of Grace, ada has approved it")


def test_approvers_are_those_of_the_default_branch(lab_on_github: LabOnGitHub) -> None:
    lab = lab_on_github
    config = lab.bench.folder / "ckgit.toml"
    run_git(lab.bench.folder, "switch", "--quiet", "exp/demo")
    config.write_text("schema_version = 1\nname = 'test-lab'\n[review]\napprovers = ['mallory']\n")
    run_git(lab.bench.folder, "commit", "--quiet", "--all", "--message=Let me", "--no-verify")
    lab.github.review(PULL, "mallory", lab.pull("exp/demo"))
    run_git(lab.bench.folder, "push", "--quiet", "origin", "exp/demo")
    refused(lab, "none of Grace, ada has approved it")


def test_an_approval_is_of_one_commit_and_can_be_taken_back(lab_on_github: LabOnGitHub) -> None:
    lab = lab_on_github
    lab.github.review(PULL, "ada", OLD)
    head = lab.push()
    refused(lab, f"what was approved is {OLD[:12]}, and the branch is at {head[:12]} now")
    lab.github.review(PULL, "ada", head, "DISMISSED")
    refused(lab, "none of Grace, ada has approved it")
    lab.github.review(PULL, "ada", head)
    lab.github.review(PULL, "ada", head, "CHANGES_REQUESTED")
    refused(lab, "none of Grace, ada has approved it")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"repository": FORK}, "its branch is in a fork"),
        ({"state": "closed"}, "it is closed"),
        ({"branch": "exp/$(touch${IFS}pwned)"}, "is not an experiment's"),
        ({"branch": "exp/--help"}, "is not an experiment's"),
        ({"branch": "exp/a\u202eb"}, "exp/a\\u202eb is not an experiment's"),
        ({"branch": "feature"}, "is not an experiment's"),
        ({"base": {"ref": "exp/other", "sha": NEW, "repo": {"full_name": "lab/demo", "default_branch": "main"}}}, "it is for exp/other"),
    ],
    ids=lambda given: str(given)[:20],
)
def test_what_is_no_experiment_of_the_lab_starts_nothing(lab_on_github: LabOnGitHub, given: dict[str, Any], why: str) -> None:
    lab = lab_on_github
    head = lab.push()
    lab.github.review(PULL, "ada", head)
    lab.github.open(PULL, **{"branch": "exp/demo", "commit": head, **given})
    refused(lab, why)
    assert list(lab.top.rglob("pwned")) == []


def test_a_comment_and_a_fork_do_not_even_reach_the_runner(lab_on_github: LabOnGitHub) -> None:
    lab = lab_on_github
    head = lab.push()
    lab.github.review(PULL, "ada", head)
    assert asked(lab, state="commented") is None
    lab.github.open(PULL, "exp/demo", head, repository=FORK)
    assert asked(lab) is None


def test_what_was_pushed_after_the_approval_is_not_started(lab_on_github: LabOnGitHub) -> None:
    lab = lab_on_github
    head = lab.push()
    done = ckgit("-C", str(lab.bench.folder), "advance", "demo", "--at", head, "--dry-run")
    assert done.returncode == 0, done.stderr
    for words in (["--dry-run"], []):
        done = ckgit("-C", str(lab.bench.folder), "advance", "demo", "--at", OLD, *words)
        assert (done.returncode, f"not at {OLD[:12]}" in done.stderr) == (Exit.BRANCH_MOVED, True)
    for words in (["demo", "other", "--at", OLD], ["demo", "--at", head[:12]]):
        assert ckgit("-C", str(lab.bench.folder), "advance", *words).returncode == Exit.USAGE
    assert lab.bench.history() == ["design"]


def review(login: str, commit: str, state: str = "APPROVED") -> SubmittedReview:
    return SubmittedReview.model_validate({"user": {"login": login}, "commit_id": commit, "state": state})


def test_the_approvals_that_stand() -> None:
    given = [review("ada", OLD), review("bob", OLD), review("bob", NEW, "CHANGES_REQUESTED"), review("ada", NEW)]
    given.append(review("ada", NEW, "COMMENTED"))
    assert approvals(given) == (Approval("ada", OLD), Approval("ada", NEW))
    assert approvals([*given, review("ada", OLD, "DISMISSED"), review("bob", NEW)]) == (Approval("bob", NEW),)
    assert approvals([SubmittedReview(state="APPROVED", user=None, commit_id=NEW)]) == ()


def test_they_are_printed_for_ckgit_review(lab_on_github: LabOnGitHub) -> None:
    lab = lab_on_github
    head = lab.push()
    event = lab.top / "event.json"
    event.write_text(json.dumps(lab.event()))
    lab.github.permissions = {"pull-requests": "read"}
    for _ in range(120):
        lab.github.review(PULL, "bob", head, "COMMENTED")
    lab.github.review(PULL, "ada", head)
    settings = {"GITHUB_EVENT_PATH": str(event), "GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": lab.github.url}
    assert ckgit("ci", "approvals", **settings).stdout == f"ada@{head}\n"
    MODELS["approvals-document"][0].model_validate_json(ckgit("ci", "approvals", "--json", **settings).stdout)
    assert ckgit("ci", "approvals", **{**settings, "GITHUB_API_URL": "http://127.0.0.1:9"}).returncode == Exit.UNKNOWN


@pytest.mark.parametrize("command", ["approvals", "may-start", "comment"])
@pytest.mark.parametrize("event", [None, "", "{}", "[" * 100_000, '{"repository": {"full_name": "a b/$(id)"}}'])
def test_outside_of_a_workflow_it_says_what_is_lacking(lab_folder: Path, command: str, event: str | None) -> None:
    file = lab_folder / "event.json"
    if event is not None:
        file.write_text(event)
    settings = {"GITHUB_EVENT_PATH": str(file), "GITHUB_TOKEN": TOKEN}
    done = ckgit("-C", str(lab_folder), "ci", command, **settings)
    assert (done.returncode, "$(id)" in done.stderr) == (Exit.USAGE, False), done.stderr
    assert ckgit("-C", str(lab_folder), "ci", command).returncode == Exit.USAGE
