"""Two versions of ckgit in one lab: the older one says upgrade, and writes nothing."""

from __future__ import annotations

import json
import subprocess

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.lab import commit
from ckgit.lab.git.trailers import newer_version
from tests.orchestrators.bench import Bench


@pytest.fixture
def newer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A newer ckgit took the experiment to trained."""
    with monkeypatch.context() as patch:
        patch.setattr(commit, "__version__", "0.3.0")
        patch.setattr("ckgit.lab.git.trailers.__version__", "0.3.0")
        bench.advance(State.TRAINED)
    assert "Ckgit-Version: 0.3.0" in bench.message()
    return bench


def test_an_older_one_reads_and_writes_nothing(newer: Bench) -> None:
    tip = newer.snapshot.tip
    for words in (["status"], ["show"], ["log"], ["why"]):
        assert newer.ckgit(*words, "demo").returncode == 0
    for words in (["advance"], ["advance", "demo", "--dry-run"], ["revise"]):
        done = newer.ckgit(words[0], "demo", *words[2:], check=False)
        assert (done.returncode, newer.snapshot.tip) == (Exit.TOOL_MISSING, tip), (words, done.stderr)
        assert "made by ckgit 0.3.0, which is newer than this one" in done.stderr
        assert "next:  upgrade ckgit" in done.stderr
    assert len(newer.executions()) == 2


def test_what_only_a_newer_one_can_read_is_not_called_broken(newer: Bench) -> None:
    """It is written as that one would: in a commit with its trailers."""
    place = newer.folder.parent / "hand"
    subprocess.run(["git", "worktree", "add", "--quiet", str(place), "exp/demo"], cwd=newer.folder, check=True)
    for file, key in (("jobs.json", "nodes"), ("estimate.json", "watts")):
        path = place / "experiments/demo" / file
        if path.exists():
            path.write_text(json.dumps({**json.loads(path.read_text()), key: 1}))
    subprocess.run(["git", "commit", "--quiet", "--amend", "--all", "--no-edit"], cwd=place, check=True)
    for words in (["show", "demo"], ["advance", "demo"], ["retry", "demo"]):
        done = newer.ckgit(*words, check=False)
        assert (done.returncode, "upgrade ckgit" in done.stderr) == (Exit.TOOL_MISSING, True), done.stderr
        assert "revert" not in done.stderr


def test_the_third_number_changes_nothing_that_is_written() -> None:
    versions = ["0.2.0", "0.2.9", "0.1.0", "0.3.0.dev1", "1.0", "?", ""]
    assert [version for version in versions if newer_version("demo", version)] == ["0.3.0.dev1", "1.0"]
