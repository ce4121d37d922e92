"""Killed again and again on SLURM, and started again: each job is executed once, the repository is whole, nobody's work is touched.

CKGIT_LONG_TESTS in the environment makes 200 kills of it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import Phase
from ckgit.lab.lab import open_lab
from tests.conftest import make_test_lab, run_git
from tests.orchestrators.bench import Bench, Heard, design_demo
from tests.orchestrators.conftest import tiny_package  # noqa: F401 - a fixture
from tests.slurm.clusters import eventually
from tests.slurm.test_engine import CONFIG

LONG = "CKGIT_LONG_TESTS" in os.environ
MOST = 25  # kills of one experiment
# `ckgit`, killed before it changes a file or starts a program for the so manieth time. Git and sbatch go on without it.
KILLED = """
import os, signal, sys
left = int(sys.argv.pop(1))
def count(event, arguments):
    global left
    if event in {"os.link", "os.mkdir", "os.rename", "os.remove", "subprocess.Popen", "os.posix_spawn"}:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
from ckgit.cli import main
sys.exit(main())
"""
# In place of `ckgit` on a job's PATH: each start takes the next number of a plan, as long as there is one.
PLANNED = """\
#!{python}
import os, pathlib, sys
plan = sorted(pathlib.Path({plan!r}).iterdir())
act = plan[0].read_text() if plan and "--as" in sys.argv else "0"
if act != "0":
    plan[0].unlink()
os.execv(sys.executable, [sys.executable, "-c", {killed!r}, act, *sys.argv[1:]])
"""


@pytest.fixture
def benches(slurm, tmp_path: Path, tiny_package: Path, monkeypatch: pytest.MonkeyPatch):  # noqa: F811 - the fixture
    """New labs on SLURM, as many as are wanted, whose user is in the middle of something."""
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(tiny_package)
    path = os.pathsep.join([str(tiny_package), str(Path(__file__).parents[2])])
    monkeypatch.setenv("PYTHONPATH", path)

    def make(number: int) -> Bench:
        folder, steer = make_test_lab(tmp_path / f"lab{number}"), tmp_path / f"steer{number}"
        steer.mkdir()
        config = CONFIG.format(slurm=slurm.set_up, work=tmp_path / f"work{number}", steer=steer, path=path)
        (folder / "ckgit.toml").write_text(
            config.replace("poll_seconds = 0.3", "poll_seconds = 0.1").replace("grace_seconds = 6", "grace_seconds = 2")
        )
        (folder / "notes").write_text("one\n")
        run_git(folder, "add", "notes", "ckgit.toml")
        run_git(folder, "commit", "--quiet", "--message=a site")
        (folder / "notes").write_text("kept for later\n")
        run_git(folder, "stash", "--quiet")
        (folder / "notes").write_text("two\n")
        run_git(folder, "add", "notes")
        (folder / "notes").write_text("three\n")
        (folder / "new").write_text("new\n")
        design_demo(open_lab(folder))
        return Bench(folder, steer, Heard())

    return make


def state_of_user(bench: Bench) -> list[str]:
    commands = (
        ["status", "--porcelain=v2", "--branch"],
        ["diff"],
        ["diff", "--cached"],
        ["stash", "list"],
        ["symbolic-ref", "HEAD"],
        ["config", "--local", "--list"],
    )
    return [run_git(bench.folder, *words) for words in commands]


def kill(bench: Bench, act: int) -> bool:
    """`ckgit advance`, killed at an act; whether it came so far."""
    command = [sys.executable, "-c", KILLED, str(act), "-C", str(bench.folder), "advance", "demo", "--to", "analyzed"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in {0, -signal.SIGKILL}, done.stdout + done.stderr
    return done.returncode != 0


def plan_kills(bench: Bench, acts: list[int]) -> None:
    """From now on the jobs that go on with an experiment are killed at these acts, each at the next one."""
    plan, programs = bench.steer / "plan", bench.steer / "bin"
    for folder in (plan, programs):
        folder.mkdir()
    for number, act in enumerate(acts):
        (plan / f"{number:03}").write_text(str(act))
    (programs / "ckgit").write_text(PLANNED.format(python=sys.executable, plan=str(plan), killed=KILLED))
    (programs / "ckgit").chmod(0o755)
    config = bench.folder / "ckgit.toml"
    config.write_text(config.read_text().replace("PYTHONPATH=", f"PATH='{programs}':$PATH PYTHONPATH="))
    run_git(bench.folder, "commit", "--quiet", "--message=a wrapper", "ckgit.toml")


def killed_jobs(bench: Bench) -> int:
    statuses = (bench.work / ".ckgit/jobs").glob("ckgit.demo.advance.*/status.json")
    return sum(json.loads(status.read_text())["exit_code"] == 128 + signal.SIGKILL for status in statuses)


def check_end(bench: Bench, user: list[str]) -> None:
    assert bench.snapshot.state is State.ANALYZED
    assert len(bench.executions()) == len(set(bench.executions())) == 5, bench.executions()
    assert {(attempt.phase, attempt.number) for attempt in bench.ledger.attempts} == {(Phase.DONE, 1)}
    assert [event for event in bench.history() if event != "submit"] == ["design", "scaffold", "train", "evaluate", "analyze"]
    assert run_git(bench.folder, "fsck", "--strict", "--no-dangling") == ""
    assert list((bench.folder / ".git").rglob("*.lock")) == []
    assert state_of_user(bench) == user


@pytest.mark.long
@pytest.mark.slow
def test_killed_again_and_again(benches, slurm):
    wanted = 5 if slurm.is_real and not LONG else 200 if LONG else 10
    chance, kills, number = random.Random(3), 0, 0  # noqa: S311 - the same moments each time
    tokens = []
    while kills < wanted:
        bench, number = benches(number), number + 1
        user, most = state_of_user(bench), kills + MOST
        while kills < min(wanted, most) and kill(bench, int(10 ** chance.uniform(0.3, 2.2))):
            kills += 1
        bench.advance(State.ANALYZED)
        check_end(bench, user)
        tokens += [attempt.token for attempt in bench.ledger.attempts]
    known = eventually(slurm.names, lambda names: set(tokens) <= set(names))  # accounting is late
    assert sorted(name for name in known if name in tokens) == sorted(tokens)
    if not slurm.is_real:  # nobody else is there
        assert len(known) == 5 * number


@pytest.mark.long
@pytest.mark.slow
def test_the_job_that_goes_on_is_killed_again_and_again(benches, slurm):
    """Where the job and its stand-in are both killed, `--detach` is asked for again."""
    wanted = 3 if slurm.is_real and not LONG else 100 if LONG else 6
    chance, kills, number = random.Random(5), 0, 0  # noqa: S311 - the same moments each time
    while kills < wanted:
        bench, number = benches(number), number + 1
        plan_kills(bench, [int(10 ** chance.uniform(0.3, 2.2)) for _ in range(MOST)])
        user = state_of_user(bench)
        while bench.snapshot.state is not State.ANALYZED:
            bench.ckgit("advance", "demo", "--to", "analyzed", "--detach")
            assert ".advance." not in eventually(lambda: slurm.ask("squeue", "-h", "-o", "%j"), lambda names: ".advance." not in names, 120)
        check_end(bench, user)
        kills += killed_jobs(bench)
