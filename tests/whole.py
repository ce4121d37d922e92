"""For tests of the whole program: a user's shell, and the tiny Llama that `make quickstart` keeps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest.mock import patch

from ckgit.examples.tiny_model import write_random_model
from ckgit.experiment.jobs import Ledger
from ckgit.lab.lab import open_lab
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.snapshot.take import take_snapshot
from tests.command_line import ckgit
from tests.warm import programs

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / ".cache"


def tiny_llama() -> Path:
    """The tiny Llama of the quickstart; made by torchtune where it is not there yet, and kept."""
    folder = MODELS / "tiny_llama"
    if not folder.exists():
        command = [sys.executable, "-m", "ckgit.examples.tiny_model", folder]
        subprocess.run(command, check=True, capture_output=True)
    return folder


def shell(home: Path, *, warm: bool = False) -> dict[str, str]:
    """The environment of a user who has this ckgit on PATH and never told git a name.

    Args:
        warm: jobs are forks of processes whose imports are done, see `tests.warm`; not where how they start is what is tested.
    """
    keep = {name: value for name, value in os.environ.items() if name.startswith(("LANG", "LC_", "TMPDIR"))}
    path = os.pathsep.join([str(programs() if warm else Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**keep, "HOME": str(home), "PATH": path, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


class WholeLab:
    """A lab with a random model of 86,000 parameters, in which real torchtune and inspect-ai run.

    Commands run in this process, and jobs are forks (see `tests.warm`): how either starts is tested elsewhere.
    """

    def __init__(self, folder: Path, rows: Mapping[str, Sequence[Mapping[str, str]]]) -> None:
        names = {f"GIT_{who}_{what}": f"{who}@x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        self.folder, self.environment = folder / "lab", {**shell(folder, warm=True), **names}
        write_random_model(folder / "model")
        self.run("git", "init", "--quiet", "-b", "main", str(self.folder), cwd=folder)
        self.ckgit("init", "--slots", "2")
        (self.folder / "data/words.json").write_text(json.dumps(rows))
        self.ckgit("models", "add", "tiny", str(folder / "model"), "--commit")
        self.commit("Words")

    def commit(self, message: str) -> None:
        """What is in the checkout, on its branch."""
        self.run("git", "add", "--all")
        done = self.run("git", "commit", "--quiet", f"--message={message}")
        assert done.returncode == 0, done.stderr

    def run(self, *command: str, cwd: Path | None = None, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        where = cwd or self.folder
        return subprocess.run(command, cwd=where, env=self.environment, input=stdin, capture_output=True, text=True, check=False)

    def ckgit(self, *words: str, code: int = 0, stdin: str | None = None) -> str:
        """What the command line says; it runs in this process."""
        with patch.object(sys, "executable", str(programs() / "python3")), patch.dict(os.environ, self.environment, clear=True):
            done = ckgit("-C", str(self.folder), *words, folder=self.folder.parent, stdin=stdin or "")
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    @property
    def snapshot(self) -> Snapshot:
        return take_snapshot(open_lab(self.folder), "demo")

    @property
    def ledger(self) -> Ledger:
        found = self.snapshot.ledger()
        assert found
        return found
