"""Time and memory of whole processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Used(NamedTuple):
    """What one process cost."""

    seconds: float
    megabytes: float  # peak resident memory of it or of a process it started, at least that of the bench; 0 is unknown


class Row(NamedTuple):
    """One line of the table."""

    operation: str
    used: Sequence[Used]
    floor: Sequence[float]  # seconds of what cannot be avoided, measured in the same run
    floor_is: str
    bar: str
    note: str = ""


def run(command: Sequence[str], *, cwd: Path, stdin: str = "", environment: Mapping[str, str] | None = None) -> Used:
    """Run a command to its end.

    Args:
        stdin: what is on its standard input.
        environment: what is added to the bench's own.

    Raises:
        RuntimeError: its exit code was not 0; with its output.
    """
    known = {**os.environ, **(environment or {})}
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output:
        given.write(stdin.encode())
        given.seek(0)
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, stdin=given, stdout=output, stderr=subprocess.STDOUT, env=known)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{output.read().decode(errors='replace')}")
    return Used(seconds, usage.ru_maxrss / 1024)


def timed(action: Callable[[], object], times: int) -> list[float]:
    """Seconds that each of so many calls took."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return seconds


def table(rows: Sequence[Row]) -> str:
    """The rows as aligned text: seconds as median (minimum)."""
    heads = ["operation", "median", "min", "peak MB", "floor", "times", "floor is", "bar", ""]
    lines = [heads, *([_text(row)[i] for i in range(len(heads))] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def _text(row: Row) -> list[str]:
    seconds = [used.seconds for used in row.used]
    floor = statistics.median(row.floor)
    peak = max(used.megabytes for used in row.used)
    memory = f"{peak:.0f}" if peak else ""
    figures = [f"{statistics.median(seconds):.3f} s", f"{min(seconds):.3f} s", memory, f"{floor:.3f} s"]
    return [row.operation, *figures, f"{statistics.median(seconds) / floor:.1f}", row.floor_is, row.bar, row.note]
