"""Calling SLURM's commands: the only place where the slurm scheduler starts programs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import Cluster
from ckgit.schedulers.slurm import commands
from ckgit.schedulers.slurm.parsers import Answer

PATIENCE = 60.0  # seconds for one command; with a controller that is down it takes nine


def call(cluster: Cluster, words: Sequence[str], *, cwd: Path | None = None, lock: int | None = None, given: bytes = b"") -> Answer:
    """Call a command of SLURM, in a session of its own: an interrupt at the terminal must not reach an sbatch half-way.

    Args:
        lock: a descriptor that the command holds as long as it lives.
        given: what it reads from standard input.

    Raises:
        CkgitError: TOOL_MISSING, there is no such program.
    """
    command = commands.whole(cluster, words)
    environment = commands.environment(cluster, words[0], os.environ, os.path.dirname(sys.executable))  # noqa: PTH120 - a folder's name
    # files, not pipes: a master process that ssh leaves behind would keep those open
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as source:
        source.write(given)
        source.seek(0)
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=environment,
                stdin=source,
                stdout=out,
                stderr=err,
                start_new_session=True,
                pass_fds=[] if lock is None else [lock],
            )
        except FileNotFoundError as error:
            raise _missing(command[0]) from error
        code = _wait(process)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    return Answer(code, *texts)


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    """Its exit code; None when it took too long and was ended."""
    # a wait with a time-out would look for the end in ever longer naps, which double the time of a hundred short commands
    late = threading.Event()
    timer = threading.Timer(PATIENCE, _kill, (process, late))
    timer.start()
    try:
        code = process.wait()
    except BaseException:
        _kill(process, late)
        process.wait()
        raise
    finally:
        timer.cancel()
    return None if late.is_set() else code


def _kill(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _missing(program: str) -> CkgitError:
    return CkgitError(
        f"there is no program {program!r} here",
        code=Exit.TOOL_MISSING,
        state="SLURM was not asked; jobs that run go on",
        next="run the same command on a login node, or set command_prefix in the cluster profile of ckgit.toml",
    )
