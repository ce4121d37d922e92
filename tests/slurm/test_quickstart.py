"""The quickstart experiment on a real SLURM, with real torchtune and inspect-ai: watched, and left alone."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.whole import ROOT, shell, tiny_llama

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
PATIENCE = 600.0
PROFILE = """
[clusters.site]
scheduler = "slurm"
partition = "main"
work_root = "{work}"
poll_seconds = 1
grace_seconds = 10
training = {{time = "00:20:00", mem = "3G", cpus_per_task = 1}}
evaluation = {{time = "00:20:00", mem = "3G", cpus_per_task = 1}}
"""


class User(NamedTuple):
    """Someone with a lab whose default cluster is SLURM."""

    folder: Path
    environment: dict[str, str]

    def do(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def events(self) -> list[str]:
        form = "--format=%(trailers:key=Ckgit-Event,valueonly,separator=%x2C)"
        return self.do("git", "log", form, "--reverse", "main..exp/quickstart").split()

    def file(self, name: str) -> str:
        return self.do("git", "show", f"exp/quickstart:experiments/quickstart/{name}")


@pytest.fixture
def user(tmp_path: Path, real_slurm) -> User:
    """The quickstart experiment, designed."""
    (tmp_path / "home").mkdir()
    lab = tmp_path / "lab"
    lab.mkdir()
    settings = {name: value for name, value in real_slurm.environment.items() if name.startswith("SLURM_")}
    made = User(lab, {**shell(tmp_path / "home"), **settings})
    made.do("git", "init", "--quiet", "--initial-branch=main")
    made.do("git", "config", "user.name", "A User")
    made.do("git", "config", "user.email", "user@example.org")
    made.do("ckgit", "init", ".")
    toml = lab / "ckgit.toml"
    profiles = toml.read_text().replace('default_cluster = "local"', 'default_cluster = "site"')
    toml.write_text(profiles + PROFILE.format(work=tmp_path / "work"))
    made.do("git", "commit", "-qam", "Our cluster")
    made.do("ckgit", "models", "add", "tiny_llama", str(tiny_llama()))
    made.do("ckgit", "design", "quickstart", "--from", str(ROOT / "ckgit/lab/templates/quickstart.yaml"))
    return made


def check(user: User) -> None:
    """The report is there, and says what it says on one machine."""
    results = json.loads(user.file("analysis/results.json"))
    scores = {run["name"]: run["cells"][0]["metrics"][0]["value"] for run in results["runs"]}
    assert scores["base"] + 0.2 < scores["rank4"] < scores["rank16"]
    attempts = json.loads(user.file("jobs.json"))["attempts"]
    assert len(attempts) == 5
    assert all(attempt["phase"] == "done" and attempt["usage"]["node"] for attempt in attempts)
    assert [event for event in user.events() if event != "submit"] == ["design", "scaffold", "train", "evaluate", "analyze"]
    assert user.do("git", "fsck", "--strict").strip() == ""
    assert user.do("git", "status", "--porcelain") == ""


def test_watched(user: User) -> None:
    said = user.do("ckgit", "advance", "quickstart", "--to", "analyzed")
    assert "rank4/finetune: done in " in said
    check(user)


def test_left_alone(user: User) -> None:
    said = user.do("ckgit", "advance", "quickstart", "--detach")  # it has ended: from here on nothing of ckgit runs but jobs of SLURM
    assert "left to its cluster" in said
    end = time.monotonic() + PATIENCE
    while user.events()[-1] != "analyze":
        assert time.monotonic() < end, user.do("squeue", "--all") + user.do("git", "log", "--stat", "exp/quickstart")
        time.sleep(1)
    check(user)
