"""A lab on GitHub: a bare repository with the pre-receive hook, the author's clone, and that of whoever runs the runner."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from tests.command_line import ckgit
from tests.conftest import run_git
from tests.forges.github.api import REPOSITORY, GitHub
from tests.forges.github.openapi import event
from tests.forges.github.workflows import CKGIT, SERVER, Runner, program
from tests.orchestrators.bench import Bench

PULL = 7
HEAD = f"refs/pull/{PULL}/head"
REVIEWED = ("review", "approvers = ['ada', 'Grace']")


class LabOnGitHub(NamedTuple):
    """The lab's experiment `demo` is pull request 7."""

    bench: Bench  # the author's clone
    origin: Path  # the lab's repository on GitHub, bare
    clone: Path  # that of the runner
    github: GitHub
    top: Path

    def push(self, *words: str) -> str:
        """The author pushes the experiment; GitHub has it as the pull request, too."""
        run_git(self.bench.folder, "push", "--quiet", *words, "origin", "exp/demo")
        return self.pull("exp/demo")

    def pull(self, branch: str, *, repository: str = REPOSITORY, at: Path | None = None) -> str:
        """Open the pull request, or let it move on; the commit that it is at."""
        commit = run_git(at or self.bench.folder, "rev-parse", branch)
        run_git(self.origin, "fetch", "--quiet", "--no-write-fetch-head", str(at or self.bench.folder), f"+refs/heads/{branch}:{HEAD}")
        self.github.open(PULL, branch, commit, repository=repository)
        return commit

    def event(self, kind: str = "pull_request", **given: Any) -> dict[str, Any]:
        """What GitHub tells a workflow of the pull request."""
        models = {"pull_request": "WebhookPullRequestSynchronize", "pull_request_review": "WebhookPullRequestReviewSubmitted"}
        given |= {"number": PULL} if kind == "pull_request" else {}
        repository = {"full_name": REPOSITORY, "default_branch": "main"}
        return event(kind, models[kind], repository=repository, pull_request=self.github.pulls[PULL], **given)

    def runner(self, name: str = "runner", *, hosted: bool = False) -> Runner:
        """A machine."""
        return Runner(self.top / name, self.github, self.origin, hosted=hosted, lab=None if hosted else self.clone)


def on_github(bench: Bench, github: GitHub, top: Path) -> LabOnGitHub:
    """Put a lab on GitHub, with the workflows that ckgit writes."""
    config = bench.folder / "ckgit.toml"
    config.write_text(f"authority = 'origin'\n{config.read_text()}\n[{REVIEWED[0]}]\n{REVIEWED[1]}\n")
    run_git(bench.folder, "commit", "--quiet", "--all", "--message=Who approves")
    assert ckgit("-C", str(bench.folder), "init", "--ci", "github").returncode == 0
    origin = top / "lab" / "demo.git"
    run_git(top, "clone", "--quiet", "--bare", str(bench.folder), str(origin))
    run_git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")  # as GitHub has it
    assert ckgit("-C", str(origin), "hooks", "install").returncode == 0
    run_git(bench.folder, "remote", "add", "origin", str(origin))
    clone = bench.clone("runners-clone", of=origin)
    return LabOnGitHub(bench, origin, clone.folder, github, top)


def server(top: Path) -> Path:
    """A folder with the ckgit of the machine where the lab's repository is, for its pre-receive hook."""
    folder = top / SERVER
    folder.mkdir()
    program(folder / "ckgit", CKGIT)
    return folder
