"""Whoever looks at an experiment that is left to its cluster sees who left it, since when, and where."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
from typing import Any

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from tests.by_hand import commit_by_hand
from tests.orchestrators.bench import Bench

ADA = "Ada Author <ada@example.org>"
HERE = os.uname().nodename
LOOKS = ("status demo", "list", "show demo", "show demo rank4", "why demo")


@pytest.fixture
def cluster(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A scaffolded experiment on a cluster that can go on by itself, and whose jobs are queued for ever."""
    monkeypatch.delenv("CI", raising=False)  # the tests may run there
    importlib.import_module("ckgit_scripted").scheduler.reset()
    config = bench.folder / "ckgit.toml"
    config.write_text(config.read_text().replace('scheduler = "local"', 'scheduler = "scripted"'))
    subprocess.run(["git", "commit", "--quiet", "--all", "--message=A cluster"], cwd=bench.folder, check=True)
    bench.advance(State.SCAFFOLDED)
    return bench


def left_to(bench: Bench, look: str) -> dict[str, Any]:
    document = json.loads(bench.ckgit(*look.split(), "--json").stdout)
    found: dict[str, Any] = document["experiments"][0]["left_to"] if look == "list" else document["left_to"]
    return found


def told(bench: Bench, look: str) -> str:
    return " ".join(bench.ckgit(*look.split()).stdout.split())


def test_everybody_sees_who_left_it_when_and_where(cluster: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for look in LOOKS:
        assert left_to(cluster, look) is None
        assert "left by" not in told(cluster, look)
    cluster.ckgit("advance", "demo", "--detach")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Bob")
    detached = cluster.ledger.detached
    assert detached
    assert detached.left_by
    assert (detached.left_by.user, detached.left_by.host) == (ADA, HERE)
    assert detached.left_by.since <= detached.submitted
    for look in LOOKS:
        seen = left_to(cluster, look)
        assert (seen["token"], seen["cluster"], seen["left_by"]) == (detached.token, "local", detached.left_by.model_dump()), look
        assert f"left by {ADA} on {HERE}, 20" in told(cluster, look), look
    done = cluster.ckgit("advance", "demo", "--no-wait", check=False)
    assert (done.returncode, f"; left by {ADA} on {HERE}, 20" in done.stderr) == (Exit.IN_FLIGHT, True), done.stderr
    assert "ckgit advance demo --take-over" in done.stderr


def test_a_retry_that_would_end_the_job_names_who_left_it(cluster: Bench) -> None:
    cluster.ckgit("advance", "demo", "--detach")
    scheduler = importlib.import_module("ckgit_scripted").scheduler
    scheduler.handed.discard(cluster.latest("rank4/finetune").token)
    cluster.ckgit("cancel", "demo", "--job", "rank4/finetune")
    done = cluster.ckgit("retry", "demo", check=False)
    assert (done.returncode, f"which a retry would end; left by {ADA}" in done.stderr) == (Exit.IN_FLIGHT, True), done.stderr


def test_jobs_go_on_for_who_left_it(cluster: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.ckgit("advance", "demo", "--detach")
    first = cluster.ledger.detached
    assert first
    monkeypatch.setenv("GIT_AUTHOR_NAME", "A Job")
    cluster.ckgit("advance", "demo", "--to", "analyzed", "--detach", "--as", first.token)
    second = cluster.ledger.detached
    assert second
    assert (second.by, second.left_by) == (first.token, first.left_by)
    assert second.token != first.token
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Bob")
    cluster.ckgit("advance", "demo", "--to", "evaluated", "--detach")
    assert left_to(cluster, "status demo")["left_by"]["user"] == "Bob <ada@example.org>"  # he wants something else


@pytest.mark.parametrize(("variables", "says"), [({}, " (in CI)"), ({"GITHUB_ACTOR": "ada-1"}, " (in CI, started by ada-1)")])
def test_ci_is_named_with_who_started_it(cluster: Bench, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], says: str) -> None:
    for name in ("GITHUB_ACTOR", "GITLAB_USER_LOGIN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"CI": "true", **variables}.items():
        monkeypatch.setenv(name, value)
    cluster.ckgit("advance", "demo", "--detach")
    assert left_to(cluster, "status demo")["left_by"]["user"] == f"{ADA}{says}"


def test_a_ledger_of_before_it_was_kept_says_so(cluster: Bench) -> None:
    cluster.advance(wait=False, detach=True)  # as a ckgit commits it that knows nothing of it
    assert b"left_by" not in (cluster.snapshot.ledger_bytes() or b"")
    for look in LOOKS:
        assert left_to(cluster, look)["left_by"] is None
        assert "by whom it was left is not recorded" in told(cluster, look), look
    done = cluster.ckgit("advance", "demo", "--no-wait", check=False)
    assert "; by whom it was left is not recorded" in done.stderr


def test_a_folder_in_place_of_a_ledger_keeps_no_experiment_from_being_listed(cluster: Bench) -> None:
    commit_by_hand(cluster.folder, "jobs.json/file", "x")
    done = cluster.ckgit("list")
    assert "demo" in done.stdout
    assert "jobs.json is a tree, not a file" in done.stderr
