"""Situations that an experiment can be in, made for tests, and what a command does in them."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from ckgit.errors import CkgitError
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import Detached
from ckgit.experiment.outputs.events import Committed, EngineEvent, Noted
from ckgit.experiment.scheduler import JobState, JobStatus
from ckgit.lab.commit import CommitPlan
from ckgit.orchestrators.commands.advance import advancing
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import commit_and_tell, open_experiment
from ckgit.orchestrators.engine.options import AdvanceOptions, RetryOptions
from ckgit.orchestrators.run import commits
from ckgit.orchestrators.run.stage import stage_jobs, submission
from ckgit.orchestrators.run.work_tree import make_work_tree
from tests.by_hand import commit_by_hand
from tests.orchestrators.bench import Bench, design_demo

TOKEN, OTHER = "ckgit.demo.advance.1.aaaaaaaa", "ckgit.demo.advance.1.bbbbbbbb"
PROFILES = """
[clusters.local]
scheduler = "scripted"

[clusters.other]
scheduler = "scripted"
work_root = "elsewhere"
"""


# What has become of the cluster profiles, by the name of the damage.
_PROFILES: Mapping[str, Callable[[str], str]] = {
    "profile": lambda text: text.replace('scheduler = "scripted"', 'scheduler = "local"'),
    "no profile": lambda text: text.replace("[clusters.local]", "[clusters.new]").replace('"local"', '"new"'),
    "outdated": lambda text: text.replace("setup = [", 'setup = ["export NEW=1", '),
}


def node7() -> os.uname_result:
    """Another machine."""
    return os.uname_result(("Linux", "node7", "", "", ""))


class Situation(NamedTuple):
    """What a command finds, and what its user wants."""

    state: State = State.SCAFFOLDED
    jobs: tuple[str, str] = ("none", "none")  # of the first two jobs of the stage that comes next; see `Scene._attempt`
    damage: str = ""  # what is not as it was left; see `Scene._damage`. Or that the design wants no evaluation.
    left: str = ""  # how it was left to its cluster: what is said of the job that goes on
    by: str = ""  # who named that job
    wants: Mapping[str, Any] = {}  # `AdvanceOptions`

    @property
    def options(self) -> AdvanceOptions:
        """What its user wants."""
        wants = dict(self.wants)
        if wants.pop("retry", False):
            wants["retry"] = RetryOptions()
        return AdvanceOptions(**wants)


class Scene:
    """A lab that can be put into each situation, always at the same place: the ledger has absolute paths."""

    def __init__(self, bench: Bench, keep: Path) -> None:
        self.bench, self.keep = bench, keep
        self.scripted = importlib.import_module("ckgit_scripted")
        self.scheduler = self.scripted.scheduler
        config = bench.folder / "ckgit.toml"
        setup = next(line for line in config.read_text().splitlines() if line.startswith("setup = "))
        head = config.read_text().split("[clusters.")[0]
        config.write_text(head + PROFILES.replace("\n\n[", f"\n{setup}\n\n[") + f"{setup}\n")
        subprocess.run(["git", "commit", "-qam", "profiles"], cwd=bench.folder, check=True)
        for state in State:
            self.scheduler.reset()
            self.scheduler.runs = True
            if state is not State.DESIGNED:
                bench.advance(state)
            shutil.copytree(bench.folder, keep / state, symlinks=True)
        subprocess.run(["git", "branch", "-qD", "exp/demo"], cwd=bench.folder, check=True)
        design_demo(bench.lab, {"tools": {"preparation": "tiny-trainer", "evaluation": "none"}, "evaluation": {}, "runs": []})
        bench.advance(State.TRAINED)
        shutil.copytree(bench.folder, keep / "without evaluation", symlinks=True)

    def set(self, situation: Situation) -> None:
        """Put the lab into a situation."""
        self.scheduler.reset()
        shutil.rmtree(self.bench.folder)
        kept = "without evaluation" if situation.damage == "no evaluation" else situation.state
        shutil.copytree(self.keep / kept, self.bench.folder, symlinks=True)
        with patch("os.uname", node7) if situation.damage == "machine" else nullcontext():
            self._submit(situation)
        self._leave(situation)
        self._damage(situation.damage)
        self._limit(situation.damage)

    def _submit(self, situation: Situation) -> None:
        """Commit the intent to run jobs, and have each stand as it is wanted."""
        view = open_experiment(self.bench.lab, "demo")
        if situation.jobs == ("none", "none"):
            return
        work = stage_jobs(view)
        wanted = dict(zip([job.name for job in work.jobs], [*situation.jobs, "done"], strict=False))
        tries = [job for job in work.jobs if wanted[job.name] != "none"]
        commit_and_tell(view.lab, submission(view, work, AdvanceOptions(), tries, make_work_tree(view)), Events())
        for job in tries:
            self._attempt(job.name, job.script, wanted[job.name])
        if "recorded" in situation.jobs:
            list(advancing(view.lab, "demo", AdvanceOptions(wait=False), Events()))
            says = self.scheduler.says
            self.scheduler.reset()
            self.scheduler.says = says

    def _attempt(self, job: str, script: str, how: str) -> None:
        """Unseen, queued, running or unknown; done, failed, recorded (it failed, and that is committed), lost or refused."""
        token = self.bench.latest(job).token
        if how in ("done", "failed", "recorded"):
            if how != "done":
                self.bench.fail(job)
            self.scripted.run_job(self.bench.work, script, token)
            if how != "done":
                self.bench.mend(job)
        said = JobStatus(JobState(how if how in set(JobState) else "gone"), None if how == "unseen" else "7")
        self.scheduler.says[token] = self.scripted.refused("no such partition") if how == "refused" else said

    def _leave(self, situation: Situation) -> None:
        """Have the ledger name a job that is to go on."""
        if not situation.left:
            return
        view = open_experiment(self.bench.lab, "demo")
        detached = Detached(token=TOKEN, by=situation.by, to=State.ANALYZED, submitted="2026-11-28T00:00:00Z")
        commit_and_tell(view.lab, commits.left(view, stage_jobs(view).workers, commits.NOTHING, self.bench.ledger, detached), Events())
        alive = situation.left in ("queued", "running")
        self.scheduler.says[TOKEN] = JobStatus(JobState(situation.left), "9" if alive else None)

    def _limit(self, what: str) -> None:
        """What the scheduler cannot do, or not at once."""
        if what == "no room":
            self.scheduler.full = True
        elif what == "settling":
            self.scheduler.grace_seconds = 60.0
        elif what == "staggering":
            self.scheduler.staggers = True
            config = self.bench.folder / "ckgit.toml"
            config.write_text(config.read_text().replace('scheduler = "scripted"', 'scheduler = "scripted"\nstagger_seconds = 1'))
            subprocess.run(["git", "commit", "-qam", "one after the other"], cwd=self.bench.folder, check=True)
        elif what == "no detaching":
            self.scheduler.detaches = False

    def _damage(self, what: str) -> None:
        bench = self.bench
        if what == "ledger":
            commit_by_hand(bench.folder, "jobs.json", bench.ledger.dump().decode().replace('"scheduler"', ' "scheduler"'))
        elif what == "script":
            (bench.work / "experiments/demo/rank4/finetune.slurm").write_text("echo something else\n")
        elif what == "status":
            first = bench.ledger.attempts[0]
            (bench.work / ".ckgit/jobs" / first.token / "status.json").write_text("{")
        elif what == "output":
            shutil.rmtree(bench.work / "experiments/demo/rank4/artifacts")
        elif what == "closed":
            bench.ckgit("close", "demo", "--because", "no better")
        elif what in ("work tree", "machine"):
            shutil.rmtree(bench.work)
        elif what in _PROFILES:
            config = bench.folder / "ckgit.toml"
            config.write_text(_PROFILES[what](config.read_text()))
            subprocess.run(["git", "commit", "-qam", what], cwd=bench.folder, check=True)


class Effects(Events):
    """What a command has done: commits, what it had the scheduler do, and how it ended or that it waits."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.scene, self.commits, self.noted = scene, list[str](), list[str]()

    def emit(self, event: EngineEvent) -> None:
        if isinstance(event, Committed):
            self.commits.append(event.commit)
            self.scene.scheduler.done.append(str(event.records))
        elif isinstance(event, Noted):
            self.noted.append(event.text)


def effects(scene: Scene, options: AdvanceOptions) -> Effects:
    """Go on until the command waits, or comes to its end."""
    heard = Effects(scene)
    going = advancing(scene.bench.lab, "demo", options, heard)
    try:
        next(going)
        scene.scheduler.done.append("wait")
        going.close()
    except StopIteration as end:
        scene.scheduler.done += ["nothing to do"] if end.value.message.startswith("nothing to do") else []
        scene.scheduler.done.append(f"exit {int(end.value.code)}")
    except CkgitError as error:
        scene.scheduler.done.append(f"refuse {int(error.code)}")
    return heard


_NEW = re.compile(rb"\b[0-9a-f]{8}\b(?=[^0-9a-f]|$)|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[Z+][0-9:]*|(?<![.\w])\d+\.\d+(?=[,\n])")


def untimed(content: bytes) -> bytes:
    """Bytes without what is new each time: tokens, times, and durations that follow from them."""
    return _NEW.sub(b"NEW", content)


def committed(bench: Bench, sha: str) -> tuple[str, dict[str, bytes | None]]:
    """A commit: its message and its files."""
    message = subprocess.run(["git", "log", "-1", "--format=%B", sha], cwd=bench.folder, capture_output=True, text=True, check=True).stdout
    command = ["git", "diff-tree", "-r", "--no-commit-id", "--name-only", "-z", sha]
    paths = subprocess.run(command, cwd=bench.folder, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]
    shown = {path: subprocess.run(["git", "show", f"{sha}:{path}"], cwd=bench.folder, capture_output=True, check=False) for path in paths}
    return message, {path: None if found.returncode else found.stdout for path, found in shown.items()}


def planned(plan: CommitPlan, bench: Bench, parent: str) -> dict[str, bytes | None]:
    """The files of a plan that are not as its parent has them."""
    command = ["git", "show"]
    before = {
        path: subprocess.run([*command, f"{parent}:{path}"], cwd=bench.folder, capture_output=True, check=False) for path in plan.files
    }
    there = {path: found.stdout if not found.returncode else None for path, found in before.items()}
    return {path: content for path, content in plan.files.items() if content != there[path]}


def in_a_row(rows: Mapping[str, list[Situation]]) -> Iterator[tuple[str, Situation]]:
    """Each situation with what follows."""
    for effect, situations in rows.items():
        for situation in situations:
            yield effect, situation
