"""Moving small experiments through their states, and looking at a repository from outside."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from ckgit.experiment.lifecycle import Event
from ckgit.experiment.state import State
from ckgit.lab.commit import CommitPlan, make_commit
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.snapshot.take import take_snapshot
from tests.conftest import run_git

DIGEST = "0" * 64


def summary(name: str, state: State | str, note: str = "") -> bytes:
    """As much of a summary as the state needs."""
    return f"---\nschema_version: 1\nstate: {state}\nexperiment:\n  name: {name}\n---\n\n{note}\n".encode()


def design(lab: Lab, name: str = "cap") -> Snapshot:
    """A new experiment."""
    files = {f"experiments/{name}/experiment_summary.md": summary(name, State.DESIGNED)}
    make_commit(lab, CommitPlan(name=name, event=Event.DESIGN, parent=None, files=files, design_digest=DIGEST, body="A question."))
    return take_snapshot(lab, name)


def scaffold(lab: Lab, parent: Snapshot, files: Mapping[str, bytes | None] | None = None) -> str:
    """The step to scaffolded, with two files more unless others are given; the new commit."""
    folder = f"experiments/{parent.name}"
    new: dict[str, bytes | None] = {f"{folder}/experiment_summary.md": summary(parent.name, State.SCAFFOLDED)}
    new |= {f"{folder}/run1/finetune.yaml": b"lr: 1\n", f"{folder}/scaffold.log": b"done\n"} if files is None else dict(files)
    return make_commit(lab, CommitPlan(parent.name, Event.SCAFFOLD, parent.branch_tip, new, DIGEST, ""))


def user_state(root: Path) -> dict[str, str]:
    """Everything of a checkout that belongs to its user: HEAD, index, files, stash, configuration, branches other than experiments'."""
    refs = run_git(root, "for-each-ref", "--format=%(refname) %(objectname)")
    own = [file for file in sorted(root.rglob("*")) if file.is_file() and ".git" not in file.parts]
    return {
        "HEAD": (root / ".git/HEAD").read_text() if (root / ".git").is_dir() else run_git(root, "rev-parse", "HEAD"),
        "index": run_git(root, "ls-files", "--stage", "-v"),
        "status": run_git(root, "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--ignored"),
        "config": run_git(root, "config", "--list", "--local"),
        "refs": "\n".join(line for line in refs.splitlines() if not line.startswith(("refs/heads/exp/", "refs/ckgit/"))),
        "files": repr([(file, file.read_bytes()) for file in own]),
    }


def assert_sound(root: Path) -> None:
    """Nothing is broken, and nothing temporary is left."""
    problems = run_git(root, "fsck", "--strict", "--full", "--no-dangling")
    assert problems == ""
    git_dir = Path(run_git(root, "rev-parse", "--path-format=absolute", "--git-common-dir"))
    temporary = [file for file in git_dir.rglob("*") if file.suffix == ".lock" or file.name.startswith(("tmp_", "index."))]
    assert temporary == []
    assert list(git_dir.glob("ckgit/*")) == []


def wait_by_looks(monkeypatch: pytest.MonkeyPatch, pid_file: Path) -> None:
    """Let whoever waits for a program count looks, a second each, once that has left its id in a file.

    By the clock, a busy machine may take longer to start the program than the test would wait for it.
    """
    seconds = itertools.count()

    def monotonic() -> int:
        return next(seconds) if pid_file.exists() and pid_file.read_text().endswith("\n") else 0

    monkeypatch.setattr("ckgit.lab.git.waiting.time", SimpleNamespace(monotonic=monotonic))
    monkeypatch.setattr("ckgit.lab.git.waiting._LOOK", 0.01)


def is_over(pid: int) -> bool:
    """Whether a process has ended, or does so within seconds; whether or not anybody has asked how."""
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(100):
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False
