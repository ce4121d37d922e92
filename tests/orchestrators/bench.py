"""An experiment whose jobs are bash, so that the engine is tested with real git and real processes, and in seconds."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ckgit.cli.output.progress import lines
from ckgit.cli.shared.subscribers import lines_of
from ckgit.experiment.design.compute import Resources
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import Attempt, Ledger
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.outputs.events import EngineEvent, Progressed
from ckgit.lab.commit import CommitPlan, make_commit
from ckgit.lab.lab import Lab, open_lab
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.lab.summary.file import SummaryFile
from ckgit.orchestrators.commands.advance import advance
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.options import DESIGNED, AdvanceOptions, RetryOptions, Selection
from ckgit.orchestrators.engine.results import AdvanceResult
from tests.command_line import as_the_reference_says, ckgit

PACKAGE = Path(__file__).parent.parent / "packages" / "ckgit-tiny"
DESIGN: dict[str, Any] = {
    "schema_version": 1,
    "experiment": {"name": "demo", "question": "Does training help?", "date": "2026-11-23"},
    "tools": {"preparation": "tiny-trainer", "evaluation": "tiny-evaluator"},
    "models": ["tiny"],
    "data": {"words": {"path": "data/words.json"}},
    "variables": {"lora_rank": [4, 8]},
    "runs": [{"name": "base", "type": "control"}],
    "evaluation": {"tasks": [{"name": "capitalization"}]},
}


class Heard(Events):
    """Keeps what people are told."""

    progress = True

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.drawn: list[Sequence[str]] = []
        self.named = False  # whether it tells of several experiments

    def emit(self, event: EngineEvent) -> None:
        if isinstance(event, Progressed):
            self.drawn.append(lines(event.progress) if event.progress else [])
        else:
            self.said += [f"{event.experiment}: {line}" if self.named else line for line in lines_of(event)]


class Bench(NamedTuple):
    """A lab with a designed experiment `demo`, and a hand on its jobs."""

    folder: Path
    steer: Path
    heard: Heard

    @property
    def lab(self) -> Lab:
        return open_lab(self.folder)

    @property
    def snapshot(self) -> Snapshot:
        return take_snapshot(self.lab, "demo")

    @property
    def ledger(self) -> Ledger:
        found = self.snapshot.ledger()
        assert found
        return found

    def latest(self, job: str) -> Attempt:
        """The newest attempt at a job."""
        found = self.ledger.latest(job)
        assert found
        return found

    @property
    def work(self) -> Path:
        return Path(self.ledger.work_tree)

    def advance(self, to: State | None = None, **options: Any) -> AdvanceResult:
        return advance(self.lab, "demo", AdvanceOptions(to=to, **options), self.heard)

    def retry(self, run: str | None = None, job: str | None = None, resources: Resources = DESIGNED, **options: Any) -> AdvanceResult:
        return self.advance(retry=RetryOptions(Selection(run, job), resources), **options)

    def ckgit(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The command line, in this process."""
        done = ckgit("-C", str(self.folder), *words)
        assert not check or done.returncode == 0, done.stderr
        return done

    def apart(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The command line, in a process of its own."""
        done = as_the_reference_says(subprocess.run(self.command(*words), capture_output=True, text=True, check=False), words)
        assert not check or done.returncode == 0, done.stderr
        return done

    def history(self) -> list[str]:
        """Events of the branch, oldest first."""
        form = "%(trailers:key=Ckgit-Event,valueonly,separator=%x2C)"
        command = ["git", "log", f"--format={form}", "--topo-order", "--reverse", "main..exp/demo"]
        answer = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True)
        return answer.stdout.split()

    def executions(self) -> list[str]:
        """Token of each execution, in order."""
        file = self.steer / "executions"
        return file.read_text().split() if file.exists() else []

    def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait for something that other processes do."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.01)

    def files_of(self, commit: str) -> list[str]:
        """What a commit changed, relative to the experiment's folder."""
        command = ["git", "diff-tree", "-r", "--no-commit-id", "--name-only", commit]
        answer = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True)
        return [path.removeprefix("experiments/demo/") for path in answer.stdout.split()]

    def message(self, commit: str = "exp/demo") -> str:
        """A commit's message."""
        return subprocess.run(
            ["git", "log", "-1", "--format=%B", commit], cwd=self.folder, capture_output=True, text=True, check=True
        ).stdout

    def command(self, *words: str) -> list[str]:
        """The arguments of the command line."""
        return [sys.executable, "-m", "ckgit", "-C", str(self.folder), *words]

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """The command line, while the test goes on."""
        return subprocess.Popen(self.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)

    def set_up(self, *lines: str) -> None:
        """Give the profile of the cluster set-up lines, beside the one that tells jobs where they are steered from."""
        config = self.folder / "ckgit.toml"
        kept = [line for line in config.read_text().splitlines() if not line.startswith("setup = ")]
        setup = json.dumps([steered(self.steer), *lines], ensure_ascii=False)
        config.write_text("\n".join([*kept, f"setup = {setup}", ""]))
        subprocess.run(["git", "commit", "-qam", "the profile"], cwd=self.folder, check=True)

    def results(self) -> bytes:
        """The experiment's results."""
        found = self.snapshot.read("experiments/demo/analysis/results.json")
        assert found
        return found

    def clone(self, name: str, of: Path | None = None) -> Bench:
        """Another clone of the lab on the same machine, where `ckgit models add` has left its note on the model."""
        folder = self.folder.parent / name
        digest = hashlib.sha256((self.folder / "models/tiny.yaml").read_bytes()).hexdigest()
        note = Path(os.environ["XDG_DATA_HOME"]) / "ckgit" / "models" / digest
        note.parent.mkdir(parents=True, exist_ok=True)
        if not note.exists():
            note.symlink_to(self.folder / "models/tiny")
        subprocess.run(["git", "clone", "--quiet", str(of or self.folder), str(folder)], check=True)
        return self._replace(folder=folder, heard=Heard())

    def hold(self, job: str = "") -> None:
        (self.steer / "-".join(["hold", *job.split("/")]).removesuffix("-")).touch()

    def go(self, job: str = "") -> None:
        (self.steer / "-".join(["hold", *job.split("/")]).removesuffix("-")).unlink()

    def fail(self, job: str) -> None:
        (self.steer / f"fail-{job.replace('/', '-')}").touch()

    def mend(self, job: str) -> None:
        (self.steer / f"fail-{job.replace('/', '-')}").unlink()


def steered(steer: Path) -> str:
    """The set-up line that tells jobs where they are steered from."""
    return f"export TINY={shlex.quote(str(steer))}"


def design_demo(lab: Lab, changes: dict[str, Any] | None = None, name: str = "demo") -> None:
    """Put a design on its branch, with the digests that design records."""
    document = {**DESIGN, **(changes or {})}
    summary = SummaryFile.new(document)
    digests = {
        path: hashlib.sha256((lab.root / path).read_bytes()).hexdigest()
        for path in ("models/tiny.yaml", "tasks/capitalization.py", "data/words.json")
    }
    recorded = summary.summary.recorded.model_validate_json(
        json.dumps(
            {
                "models": {"tiny": digests["models/tiny.yaml"]},
                "tasks": {"tasks/capitalization.py": digests["tasks/capitalization.py"]},
                "data": {"words": {"sha256": digests["data/words.json"], "bytes": 0, "splits": {"train": 8, "test": 2}}},
            }
        )
    )
    content = summary.with_recorded(recorded).dump()
    files = {f"experiments/{name}/experiment_summary.md": content}
    make_commit(lab, CommitPlan(name=name, event=Event.DESIGN, parent=None, files=files, design_digest=summary.summary.digest, body=""))
