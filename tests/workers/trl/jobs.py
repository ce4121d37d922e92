"""Trainings as scaffolded, with TRL as installed."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ckgit.experiment.jobs import Attempt, Phase
from ckgit.experiment.tools.workers import find_preparation
from ckgit.experiment.worker import Context, Evidence
from ckgit.lab.models.folder import read_card
from ckgit.workers.trl import worker
from tests.warm import FIXED, WITH_TRL, programs
from tests.whole import ROOT
from tests.workers.designs import WORDS, context, write_tree

TOKEN = "job-1"  # noqa: S105 the name of a job
RUN = "experiments/capital/run"
ARTIFACTS = f"{RUN}/artifacts"
HIDE = f"import sys; sys.modules['torchao'] = None; sys.path.insert(0, {str(ROOT)!r})\n"
# Runs one of the commands that a configuration names in its head: `python(work, STOCK, CONFIG, NUMBER)`.
STOCK = """
import os, re, subprocess
commands = re.findall("^#   (.*)", open(sys.argv[1]).read(), re.MULTILINE)
command = commands[int(sys.argv[2])]
if command.startswith("trl "):  # it starts another process, which must find no torchao either
    open("sitecustomize.py", "w").write("import sys; sys.modules['torchao'] = None")
    os.environ["PYTHONPATH"] = "."
print(subprocess.run(command, shell=True, check=True))
"""
# For a program with `artifacts`: a digest of each file that is left there.
LEFT = """
import hashlib

def left():
    files = [path for path in sorted(artifacts.rglob("*")) if path.is_file()]
    own = ("starts.json", "resumed.json", "finished.json")  # they tell of the starts
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.name not in own}

"""


class Trained:
    """A finished job and its work tree."""

    def __init__(self, ctx: Context, work: Path, code: int) -> None:
        self.context, self.work, self.code = ctx, work, code
        [self.job] = worker.jobs(ctx)
        self.attempt = Attempt(
            job=self.job.name, stage=self.job.stage, number=1, token=TOKEN, script_sha256="", phase=Phase.SUBMITTED,
            submitted="2026-11-23T00:00:00Z", job_id="4711",
        )  # fmt: skip

    def evidence(self) -> Evidence:
        return worker.evidence(self.context, self.job, self.attempt, self.work)

    def output(self) -> str:
        return (self.work / ".ckgit/jobs" / TOKEN / "output").read_text(errors="replace")


def make_tree(work: Path, model: Path, design: Mapping[str, Any], words: Mapping[str, Any] = WORDS, tool: str = "trl") -> Context:
    """A work tree in which a run was scaffolded."""
    worker = find_preparation(tool)
    card, _ = read_card("tiny", model)
    ctx = context(cards=(card,), words=dict(words), **{"tools": {"preparation": tool}, **design})
    assert worker.check(ctx) == []
    write_tree(ctx, dict(worker.scaffold(ctx)), work, {"tiny": model})
    return ctx


def python(work: Path, program: str, *words: str) -> str:
    """What a program prints in a process of its own, in a work tree; as in a job, there is no torchao, and it has a job's environment."""
    environment = {**FIXED, "PATH": str(programs()), "HF_DATASETS_CACHE": str(work / ".datasets"), "HOME": str(work)}
    command = [programs() / WITH_TRL, "-c", HIDE + program, *words]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
