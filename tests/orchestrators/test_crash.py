"""Killed at any moment and started again, from another clone even: the same end, each job executed once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import Phase
from tests.orchestrators.bench import Bench

HISTORY = ["design", "scaffold", "submit", "train", "submit", "evaluate", "analyze"]
needs_strace = pytest.mark.skipif(shutil.which("strace") is None and "CI" not in os.environ, reason="needs strace")


def kill_at(bench: Bench, syscall: str, number: int) -> int:
    """`ckgit advance --to analyzed`, killed when it makes a system call for the so manieth time; its exit code."""
    inject = ["strace", "-o", os.devnull, "-e", f"trace={syscall}", "-e", f"inject={syscall}:signal=SIGKILL:when={number}"]
    command = [*inject, *bench.command("advance", "demo", "--to", "analyzed")]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, check=False).returncode


def check_end(bench: Bench, run: Callable[..., str]) -> None:
    """Every job ran once, the history is whole, and nothing lies about."""
    executions = bench.executions()
    assert len(executions) == len(set(executions)) == 5, executions
    assert bench.history() == HISTORY
    assert {attempt.phase for attempt in bench.ledger.attempts} == {Phase.DONE}
    assert run(bench.folder, "fsck", "--strict", "--no-dangling") == ""
    assert run(bench.folder, "status", "--porcelain") == ""
    assert list((bench.folder / ".git").rglob("*.lock")) == []


@pytest.fixture
def expected(bench: Bench, designed: Callable[..., Bench]) -> dict[str, Any]:
    """The results of an experiment that nobody killed."""
    del designed
    undisturbed = bench.clone("undisturbed")
    undisturbed.advance(State.ANALYZED)
    (bench.steer / "executions").unlink()
    return found(undisturbed)


def found(bench: Bench) -> dict[str, Any]:
    """The results without what the jobs took, which is never the same twice."""
    results = json.loads(bench.results())
    del results["accounting"]
    return results


@needs_strace
@pytest.mark.slow
@pytest.mark.parametrize(("syscall", "numbers"), [("vfork", range(4, 64, 7)), ("mkdir,rename", range(1, 40, 5))], ids=["vfork", "mkdir"])
def test_killed_at_system_calls(bench: Bench, run: Callable[..., str], expected: dict[str, Any], syscall: str, numbers: range) -> None:
    codes = [kill_at(bench, syscall, number) for number in numbers]
    assert codes.count(0) < len(codes)
    bench.advance(State.ANALYZED)
    check_end(bench, run)
    assert found(bench) == expected


@pytest.mark.slow
def test_killed_after_some_time_and_finished_by_another_clone(bench: Bench, run: Callable[..., str], expected: dict[str, Any]) -> None:
    for number in range(9):
        with bench.start("advance", "demo", "--to", "trained", start_new_session=True) as process:
            try:
                process.wait(0.3 + 0.15 * number)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    other = bench.clone("other")
    other.advance(State.ANALYZED)
    check_end(other, run)
    assert found(other) == expected
