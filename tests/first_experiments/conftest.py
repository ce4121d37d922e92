"""One lab with the tiny Llama, in which a person with a file of data gets to a report."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.command_line import ckgit
from tests.warm import programs
from tests.whole import tiny_llama

DESIGN = """\
experiment:
  question: Does training on these rows help?
models: [tiny_llama]
data:
  rows: {data}
controls: {{device: cpu, dtype: fp32, batch_size: 4, lr: 0.003{controls}}}
variables:
  lora_rank: [4]
evaluation:
  tasks:
    - {task}
  generation: {{max_tokens: 8, temperature: 0}}
"""


class FirstLab(NamedTuple):
    """A lab, by its folder."""

    folder: Path

    def ckgit(self, *words: str, ends: int = 0) -> str:
        """What a command prints; how it ends is asserted."""
        done = ckgit("-C", str(self.folder), *words)
        assert done.returncode == ends, done.stdout + done.stderr
        return done.stdout if ends == 0 else done.stderr

    def git(self, *words: str) -> str:
        """What git prints in it."""
        return subprocess.run(["git", *words], cwd=self.folder, check=True, capture_output=True, text=True).stdout

    def commit(self, files: Mapping[str, str | bytes] = {}) -> None:
        """Commit files, and whatever else lies in the lab."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=My data")

    def design(self, name: str, data: str, *, task: str = "{name: asked, file: tasks/capitalization.py, function: capitalization}",
               controls: str = "", ends: int = 0) -> str:  # fmt: skip
        """Design an experiment on a data set; what is printed on standard error too."""
        file = self.folder.parent / f"{name}.yaml"
        file.write_text(DESIGN.format(data=data, task=task, controls=controls))
        done = ckgit("-C", str(self.folder), "design", name, "--from", str(file))
        assert done.returncode == ends, done.stdout + done.stderr
        return done.stdout + done.stderr

    def finish(self, name: str) -> dict[str, Any]:
        """Run an experiment to its report, verify it, and hand back its results."""
        self.ckgit("advance", name, "--to", "analyzed")
        self.ckgit("verify", name)
        assert self.read(name, "analysis/report.md").startswith(b"#")
        results: dict[str, Any] = json.loads(self.read(name, "analysis/results.json"))
        return results

    def read(self, name: str, path: str) -> bytes:
        """A file of an experiment, as committed."""
        command = ["git", "show", f"exp/{name}:experiments/{name}/{path}"]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True).stdout

    def samples(self, name: str) -> list[Any]:
        """The samples of an experiment's one evaluation."""
        from inspect_ai.log import read_eval_log

        (log,) = [path for path in self.git("ls-tree", "-r", "--name-only", f"exp/{name}").split() if path.endswith(".eval")]
        file = self.folder.parent / f"{name}.eval"
        file.write_bytes(self.read(name, log.removeprefix(f"experiments/{name}/")))
        found = read_eval_log(str(file)).samples
        assert found
        return found


@pytest.fixture(autouse=True)
def warm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run where this Python's programs are: they are forks of processes whose imports are done (see `tests.warm`)."""
    monkeypatch.setattr(sys, "executable", str(programs() / "python3"))


@pytest.fixture(scope="module")
def first_lab(tmp_path_factory: pytest.TempPathFactory) -> FirstLab:
    """A new lab with the model."""
    model, folder = tiny_llama(), tmp_path_factory.mktemp("first") / "lab"
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Ada Author")
            patch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
        made = FirstLab(folder)
        assert ckgit("init", str(folder), "--slots", "2").returncode == 0
        made.ckgit("models", "add", "tiny_llama", str(model))
        made.git("config", "user.name", "Ada Author")
        made.git("config", "user.email", "ada@example.org")
    if not (folder / "models/tiny_llama").exists():  # each test has a home of its own, where the note on the folder is not
        (folder / ".git/info/exclude").write_text("models/tiny_llama\n")
        (folder / "models/tiny_llama").symlink_to(model)
    return made
