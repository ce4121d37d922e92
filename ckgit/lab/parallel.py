"""Pure work on two cores.

Rendering 1,000 runs with 5 cells each takes one core 1.2 s, and looking for secrets in the 13,000 files 0.6 s; a process more takes
10 ms and 30 MB of results through a pipe 0.1 s.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, NamedTuple, TypeVar

T = TypeVar("T")


class _Child(NamedTuple):
    pid: int
    results: BinaryIO


def in_parallel(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """What the tasks return, in their order. All but the first run in forked processes; what one raises is raised here."""
    children = [_fork(task) for task in tasks[1:]]
    try:
        first = [task() for task in tasks[:1]]
    finally:
        rest = [_collect(child) for child in children]
    # a task that raised is done once more, in this process, where its error is the caller's
    return [*first, *(found[0] if found else task() for task, found in zip(tasks[1:], rest, strict=True))]


def _fork(task: Callable[[], Any]) -> _Child:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return _Child(pid, os.fdopen(reading, "rb"))
    try:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(pickle.dumps(task()))
    finally:
        os._exit(0)  # whatever happened: the caller's clean-up and buffers are not the child's


def _collect(child: _Child) -> list[Any]:
    """The child's result as a list of one; empty when it has none."""
    with child.results:
        content = child.results.read()
    os.waitpid(child.pid, 0)
    return [pickle.loads(content)] if content else []  # noqa: S301 - written by our own child
