"""The clones that CI makes: of depth 1, of one branch, with a detached HEAD, without the default branch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from tests.by_hand import commit_by_hand
from tests.orchestrators.bench import Bench
from tests.orchestrators.conftest import bare_bench, bench, tiny_package  # noqa: F401 - fixtures

READING = ["status demo", "show demo", "list", "log demo", "validate demo", "why demo"]


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def ckgit(folder: Path, words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ckgit", "-C", str(folder), *words.split()]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def advised(folder: Path, done: subprocess.CompletedProcess[str]) -> None:
    """Run the git command that a message begins its advice with."""
    (line,) = [line.partition("next:")[2] for line in done.stderr.splitlines() if "next:" in line]
    words = line[line.index("git fetch") :].partition(",")[0].partition(" gets ")[0]
    subprocess.run(["bash", "-euc", words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def origin(bench: Bench, tmp_path: Path) -> Path:  # noqa: F811
    bench.advance(State.TRAINED)
    git(tmp_path, "clone", "--quiet", "--bare", str(bench.folder), "origin.git")
    return tmp_path / "origin.git"


@pytest.mark.parametrize("detached", [False, True])
def test_a_clone_of_one_branch_says_what_to_fetch_and_then_works(origin: Path, tmp_path: Path, detached: bool) -> None:
    clone = tmp_path / "one"
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=exp/demo", "--single-branch", f"file://{origin}", str(clone))
    if detached:
        git(clone, "checkout", "--quiet", "--detach")
        git(clone, "branch", "--quiet", "-D", "exp/demo")
    for words in READING:
        done = ckgit(clone, words)
        assert (done.returncode, "ckgit init" in done.stderr) == (Exit.USAGE, False), done.stderr
        assert "does not have the lab's default branch" in done.stderr
    advised(clone, done)
    for words in READING:
        done = ckgit(clone, words)
        assert done.returncode == 0, (words, done.stderr)


def test_a_pull_request_that_is_checked_out_fetches_the_branch_too(origin: Path, tmp_path: Path) -> None:
    clone = tmp_path / "pull"
    git(tmp_path, "init", "--quiet", str(clone))
    git(clone, "remote", "add", "origin", f"file://{origin}")
    git(origin, "update-ref", "refs/pull/1/merge", "exp/demo")
    git(clone, "fetch", "--quiet", "--depth=1", "origin", "+refs/pull/1/merge:refs/remotes/pull/1/merge")
    git(clone, "checkout", "--quiet", "--detach", "refs/remotes/pull/1/merge")
    done = ckgit(clone, "status demo")
    assert "ckgit init" not in done.stderr
    advised(clone, done)
    done = ckgit(clone, "status demo")
    assert ("ckgit design" in done.stderr, done.returncode) == (False, Exit.USAGE), done.stderr
    advised(clone, done)
    done = ckgit(clone, "status demo")
    assert (done.returncode, "demo: trained" in done.stdout) == (0, True), done.stderr


def test_of_a_commit_by_hand_a_shallow_clone_says_that_it_cannot_tell(bench: Bench, tmp_path: Path) -> None:  # noqa: F811
    bench.advance(State.TRAINED)
    commit_by_hand(bench.folder, "notes.md", "what I think\n")
    clone = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", "--no-single-branch", f"file://{bench.folder}", str(clone))
    done = ckgit(clone, "status demo")
    assert (done.returncode, "this clone is shallow" in done.stderr) == (Exit.EVIDENCE_MISSING, True), done.stderr
    advised(clone, done)
    assert ckgit(clone, "status demo").returncode == 0
