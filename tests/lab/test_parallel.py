"""Tasks in processes: results in order, errors where they belong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ckgit.lab.parallel import in_parallel


def children() -> str:
    """Processes that this one started and did not wait for; other tests may have left some."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def test_results_come_in_order_and_from_other_processes() -> None:
    pids = in_parallel([os.getpid, os.getpid, os.getpid])
    assert pids[0] == os.getpid()
    assert len(set(pids)) == 3
    assert in_parallel([lambda: "a" * 1_000_000, lambda: "b" * 1_000_000]) == ["a" * 1_000_000, "b" * 1_000_000]
    assert in_parallel([]) == []


@pytest.mark.parametrize("position", [0, 1])
def test_what_a_task_raises_is_raised_here(position: int) -> None:
    before = children()
    tasks = [lambda: 1, lambda: 2]
    tasks[position] = lambda: 1 // 0
    with pytest.raises(ZeroDivisionError):
        in_parallel(tasks)
    assert children() == before
