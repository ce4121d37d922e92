"""A week of two people with one bare remote: profiles, machines, work trees and versions change, and every message leads on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.jobs.folder import job_folder
from ckgit.lab import commit
from ckgit.schedulers.local.process import read_process
from tests.command_line import ckgit
from tests.conftest import CONFIG
from tests.orchestrators.bench import Bench, Heard
from tests.orchestrators.commands.next_commands import follow, named
from tests.orchestrators.conftest import end_jobs
from tests.whole import tiny_llama

pytestmark = pytest.mark.slow
DESIGN = """\
schema_version: 1
experiment: {name: demo, question: Does training help?, date: 2026-11-23}
models: [tiny]
data: {words: {path: data/words_5L.json}}
controls: {device: cpu, dtype: fp32, epochs: 1, max_steps_per_epoch: 2}
variables: {lora_rank: [4, 8]}
runs: [{name: base, type: control}]
evaluation: {tasks: [{name: capitalization, limit: 4}], generation: {max_tokens: 2}}
"""
# What jobs of the fake tools do by themselves.
STEERED = ('echo "$CKGIT_JOB" >>"$TINY/executions"', 'while [ -e "$TINY/hold" ]; do sleep 0.05; done')


def git(bench: Bench, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=bench.folder, check=True, capture_output=True, text=True).stdout.strip()


def publish(bench: Bench, message: str, old: str, new: str) -> None:
    """A change of ckgit.toml, committed on main and pushed."""
    config = bench.folder / "ckgit.toml"
    config.write_text(config.read_text().replace(old, new))
    git(bench, "commit", "--quiet", "--all", "-m", message)
    git(bench, "push", "--quiet", "origin", "main")


def pull_main(bench: Bench) -> None:
    git(bench, "pull", "--quiet", "--ff-only", "origin", "main")


def step(bench: Bench, *words: str) -> State:
    """A command, and what its messages name, until something has happened."""
    before = bench.snapshot.tip
    done = bench.ckgit(*words, check=False)
    if bench.snapshot.tip == before:
        follow(bench, done)
    return bench.snapshot.state


@pytest.fixture
def real_bench(tmp_path: Path) -> Iterator[Bench]:
    """A lab whose experiment `demo` trains with torchtune and evaluates with inspect-ai."""
    model = tiny_llama()
    bench = Bench(tmp_path / "lab", tmp_path / "steer", Heard())
    bench.steer.mkdir()
    for words in (["init", str(bench.folder)], ["-C", str(bench.folder), "models", "add", "tiny", str(model)]):
        assert (done := ckgit(*words)).returncode == 0, done.stderr
    (bench.folder / "ckgit.toml").write_text(CONFIG)
    bench.set_up(*STEERED)
    (tmp_path / "design.yaml").write_text(DESIGN)
    bench.ckgit("design", "demo", "--from", str(tmp_path / "design.yaml"))
    yield bench
    end_jobs(bench.lab, tmp_path)


@pytest.fixture(params=["fake tools", "real tools"])
def ada(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    bench: Bench = request.getfixturevalue({"fake tools": "bench", "real tools": "real_bench"}[request.param])
    git(bench, "init", "--quiet", "--bare", str(tmp_path / "bare.git"))
    git(bench, "remote", "add", "origin", str(tmp_path / "bare.git"))
    publish(bench, "The remote decides", 'name = "test-lab"', 'name = "test-lab"\nauthority = "origin"')
    git(bench, "push", "--quiet", "origin", "exp/demo")
    return bench


def monday(bob: Bench) -> None:
    """Bob trains, and his machine gets another name meanwhile."""
    bob.hold()
    assert bob.ckgit("advance", "demo", "--no-wait", check=False).returncode == Exit.IN_FLIGHT
    bob.until(lambda: len(bob.executions()) == 2)
    for attempt in bob.ledger.open():
        file = job_folder(bob.work, attempt.token) / "local.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "host": "the-name-before"}))
    bob.go()
    assert step(bob, "advance", "demo") is State.TRAINED


def tuesday(ada: Bench, bob: Bench) -> None:
    """The profile has another name on main; evaluations are out when their machine stops."""
    publish(ada, "Another name", "local]", "here]")
    publish(ada, "The default, too", 'default_cluster = "local"', 'default_cluster = "here"')
    pull_main(bob)
    assert "trained" in bob.ckgit("status", "demo").stdout
    assert bob.ckgit("show", "demo").returncode == 0
    bob.hold()
    done = bob.ckgit("advance", "demo", "--no-wait", check=False)
    assert named(done) == [["advance", "demo", "--cluster", "here"]]
    assert bob.ckgit(*named(done)[0], "--no-wait", check=False).returncode == Exit.IN_FLIGHT
    bob.until(lambda: len(bob.executions()) == 4)  # two slots
    for attempt in bob.ledger.open():
        if process := read_process(job_folder(bob.work, attempt.token) / "local.json"):
            os.killpg(process.pid, signal.SIGKILL)
    bob.go()


def wednesday(bob: Bench) -> None:
    """The work tree is gone, too: nobody can ask those jobs any more. Bob says so, and begins anew from what is committed."""
    shutil.rmtree(bob.work)
    done = bob.ckgit("advance", "demo", check=False)
    assert named(done)[-2][:3] == ["cancel", "demo", "--lost"]
    done = bob.ckgit(*named(done)[-2])
    assert (bob.ledger.open(), named(done)) == ([], [["revise", "demo"]])
    follow(bob, done)
    assert step(bob, "advance", "demo") is State.SCAFFOLDED
    assert step(bob, "advance", "demo") is State.TRAINED


def thursday(ada: Bench) -> None:
    """Ada, who was away, has notes of her own, and pulls with a merge."""
    git(ada, "switch", "--quiet", "exp/demo")
    (ada.folder / "experiments/demo/notes.md").write_text("what I think\n")
    git(ada, "add", "--all", "experiments")
    git(ada, "commit", "--quiet", "-m", "Notes")
    git(ada, "pull", "--quiet", "--no-rebase", "--no-edit", "origin", "exp/demo")
    git(ada, "push", "--quiet", "origin", "exp/demo")
    git(ada, "switch", "--quiet", "main")
    assert "not as ckgit wrote them" not in ada.ckgit("status", "demo").stdout
    assert ada.snapshot.state is State.TRAINED


def friday(ada: Bench, bob: Bench) -> None:
    """Both evaluate at once; who comes second is told, and goes on from what the other has made."""
    racers = [each.start("advance", "demo") for each in (ada, bob)]
    told = [racer.communicate(timeout=300)[1] for racer in racers]
    assert {racer.returncode for racer in racers} <= {Exit.DONE, Exit.BRANCH_MOVED, Exit.IN_FLIGHT}, told
    for each in (ada, bob):
        assert each.ckgit("advance", "demo", "--to", "evaluated").returncode == 0
        assert each.snapshot.state is State.EVALUATED
    assert ada.snapshot.tip == bob.snapshot.tip


def saturday(ada: Bench, bob: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ada has a newer ckgit; the older one reads what that wrote, says upgrade, and writes nothing."""
    with monkeypatch.context() as patch:
        patch.setattr(commit, "__version__", "9.0.0")
        patch.setattr("ckgit.lab.git.trailers.__version__", "9.0.0")
        assert step(ada, "advance", "demo") is State.ANALYZED
    git(bob, "fetch", "--quiet")
    done = bob.ckgit("revise", "demo", check=False)
    assert bob.ckgit("status", "demo").returncode == 0
    tip = git(bob, "rev-parse", "origin/exp/demo")
    done = bob.ckgit("advance", "demo", check=False)
    assert (done.returncode, "upgrade ckgit" in done.stderr) == (Exit.TOOL_MISSING, True), done.stderr
    assert git(bob, "ls-remote", "origin", "exp/demo").split()[0] == tip


def test_a_week(ada: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert step(ada, "advance", "demo") is State.SCAFFOLDED
    bob = ada.clone("bob", tmp_path / "bare.git")
    monday(bob)
    tuesday(ada, bob)
    wednesday(bob)
    thursday(ada)
    friday(ada, bob)
    saturday(ada, bob, monkeypatch)
    # no job ran twice, and every commit that was told of is there
    tokens = ada.executions()
    assert len(tokens) == len(set(tokens))
    assert sum(".finetune." in token for token in tokens) == 2 + 2
    assert git(ada, "fsck", "--no-dangling") == git(bob, "fsck", "--no-dangling") == ""
    steps = [event for event in ada.history() if event != "submit"]
    assert steps == ["design", "scaffold", "train", "cancel", "revise", "scaffold", "train", "evaluate", "analyze"]
