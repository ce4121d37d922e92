"""Running a program that may wait for others: a remote, a hook, a person at a key. It is ended when nothing comes for long."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit

_LOOK = 1.0  # seconds from one look to the next
_QUIET = 5.0  # seconds after which a person is told what is waited for
_REST = 0.2  # seconds in which what is in the pipes of a program that has ended is surely read
_LAST_WORDS = 2.0  # seconds that a program has to clean up


class TimeLimit(NamedTuple):
    """Whom a program may wait for, and for how many seconds without a word from it."""

    who: str
    seconds: float = 60.0


def _write(text: str) -> None:
    sys.stderr.write(f"{text}\n")


class Told:
    """How a person is told what is waited for. Whoever prints documents alone sets another way."""

    def __init__(self) -> None:
        self.by: Callable[[str], None] = _write


TOLD = Told()


class NoAnswerError(CkgitError):
    """Nothing came for too long. What was asked for may have been done, or not."""


def run_waiting(
    command: Sequence[str], cwd: Path, stdin: bytes, env: Mapping[str, str], waiting: TimeLimit
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end, and keep what it prints.

    It stays in the terminal's foreground, where ssh may ask for a passphrase.

    Raises:
        NoAnswerError: UNKNOWN, it printed nothing for too long, and was ended with all that it had started.
        OSError: it cannot be started.
    """
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=cwd, env=env, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        stdout, stderr = _listen(process, stdin, waiting)
    except BaseException:
        _end(process)
        raise
    finally:
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def _listen(process: subprocess.Popen[bytes], stdin: bytes | None, waiting: TimeLimit) -> tuple[bytes, bytes]:
    """What it prints until its end."""
    heard, length, told = time.monotonic(), 0, False
    while True:
        try:
            return process.communicate(stdin, timeout=min(_LOOK, waiting.seconds))
        except subprocess.TimeoutExpired as look:
            stdin, answers = None, (look.output or b"", look.stderr or b"")
        if process.poll() is not None:
            return _rest(process)
        if sum(map(len, answers)) > length:
            heard, length = time.monotonic(), sum(map(len, answers))
        silent = time.monotonic() - heard
        if silent >= waiting.seconds:
            what = f"timed out: {waiting.who} printed nothing for {waiting.seconds:.0f} s"
            raise NoAnswerError(what, code=Exit.UNKNOWN, next="see what it waits for, then run the command again")
        if silent >= _QUIET and not told:
            told = True
            with contextlib.suppress(OSError, ValueError):  # nobody reads that
                TOLD.by(f"waiting for {waiting.who}, {waiting.seconds:.0f} s at most")


def _rest(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """What a program printed that has ended. A daemon that it left behind, as credential helpers do, keeps the pipes open."""
    try:
        return process.communicate(timeout=_REST)
    except subprocess.TimeoutExpired as kept_open:
        return kept_open.output or b"", kept_open.stderr or b""


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its descendants: politely, so that git removes its lock files, then surely."""
    family = _descendants(process.pid)
    for pid in [process.pid, *family]:
        _signal(pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_LAST_WORDS)
    if process.poll() is None:
        process.kill()
        process.wait()
    for pid in family:
        _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _descendants(pid: int) -> list[int]:
    """Processes that it has started, and that those have; none where the system does not tell."""
    children: list[int] = []
    with contextlib.suppress(OSError):
        for file in Path(f"/proc/{pid}/task").glob("*/children"):
            children += map(int, file.read_text().split())
    return children + [grandchild for child in children for grandchild in _descendants(child)]
