"""A lab as it comes: experiments in every state, jobs that run, one that failed, one that nobody can read, and one that means harm."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any

from ckgit.experiment.design.model import State
from ckgit.orchestrators.commands.advance import advance
from ckgit.orchestrators.engine.options import AdvanceOptions
from tests.orchestrators.bench import Bench, design_demo

EVIL = '<script>alert("x")</script><img src=x onerror=alert(1)> & \u202eevil'
CLAIM: Mapping[str, Any] = {"metric": "accuracy", "task": "capitalization", "left": "rank8", "right": "base", "direction": "greater"}


def git(bench: Bench, *words: str, stdin: str | None = None) -> str:
    return subprocess.run(["git", *words], cwd=bench.folder, check=True, capture_output=True, text=True, input=stdin).stdout.strip()


def experiment(bench: Bench, name: str, to: State | None = None, **about: Any) -> None:
    """An experiment of one's own, taken to a state."""
    told = {"name": name, "question": "Does training help?", "date": "2026-11-23", **about}
    design_demo(bench.lab, {"experiment": told, "variables": {"lora_rank": [8]}}, name)
    if to:
        advance(bench.lab, name, AdvanceOptions(to=to), bench.heard)


def branch_of(bench: Bench, ref: str, path: str, content: str) -> None:
    """A branch that somebody pushed: one file, and no ckgit near it."""
    blob = git(bench, "hash-object", "-w", "--stdin", stdin=content)
    tree = ""
    for at, part in enumerate(reversed(path.split("/"))):
        line = f"100644 blob {blob}\t{part}\n" if not at else f"040000 tree {tree}\t{part}\n"
        tree = git(bench, "mktree", stdin=line)
    commit = git(bench, "commit-tree", tree, "-m", EVIL)
    git(bench, "update-ref", f"refs/heads/{ref}", commit)


def populate(bench: Bench) -> None:
    """`demo` is designed; beside it one that is analyzed, one that failed, one that is closed, one that is broken, and a hostile one."""
    experiment(bench, "found", State.ANALYZED, question=EVIL, claims=[dict(CLAIM)])
    bench.fail("rank8/finetune")
    experiment(bench, "failed", State.TRAINED)
    bench.mend("rank8/finetune")
    experiment(bench, "left", State.SCAFFOLDED)
    bench.ckgit("close", "left", "--because", "It is <b>enough</b>.")
    branch_of(bench, "exp/broken", "experiments/broken/experiment_summary.md", f"---\nstate: [\n{EVIL}")
    branch_of(bench, 'exp/a"b&c', 'experiments/a"b&c/experiment_summary.md', "---\nstate: designed\n---\n")
