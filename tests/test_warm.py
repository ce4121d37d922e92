"""A fork that does a job's work ends as a job's own Python would, and with it."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.warm import FIXED, JOB, KINDS, OF_TRL, WITH_TRL, connected, fits, number_of, programs

pytestmark = pytest.mark.slow
SLEEPS = "import os, sys, time; print(os.getpid(), 'trl' in sys.modules, flush=True); time.sleep(600)"


@contextmanager
def started(folder: Path, program: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**FIXED, "PATH": str(programs()), "HOME": str(folder)}
    command = [programs() / WITH_TRL, "-c", program, *words]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        yield process


def until_gone(pid: int) -> None:
    end = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < end, "it goes on"
        time.sleep(0.05)


def test_its_words_its_folder_and_its_exit_code_are_the_jobs(tmp_path: Path) -> None:
    program = "import os, sys; print(sys.argv, os.getcwd(), os.environ['HOME']); sys.exit(7)"
    with started(tmp_path, program, "one", "--two=3") as process:
        said, _ = process.communicate()
    assert said == f"{['-c', 'one', '--two=3']} {tmp_path} {tmp_path}\n"
    assert process.returncode == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_who_asked_for_it(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path, SLEEPS) as process:
        assert process.stdout
        worker, imported = process.stdout.readline().split()
        assert imported == "True"
        assert int(worker) != process.pid
        process.send_signal(number)
    assert process.returncode == -number
    until_gone(int(worker))


def test_a_signal_that_it_handles_is_its_own_to_answer(tmp_path: Path) -> None:
    handles = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
    with started(tmp_path, handles + SLEEPS) as process:
        assert process.stdout
        process.stdout.readline()
        process.terminate()
    assert process.returncode == 3


def test_it_ends_where_who_asked_was_gone_before_it_began(tmp_path: Path) -> None:
    """The server was busy with its imports, or with others."""
    ours, its = os.pipe()
    server = connected(str(programs().parent), ("-c", ""), FIXED)
    assert server
    request = json.dumps([["-c", "import time; time.sleep(3600)"], str(tmp_path), FIXED, 0o22]).encode()
    socket.send_fds(server, [len(request).to_bytes(8, "big")], [its] * 3)
    server.sendall(request)
    server.close()
    os.close(its)
    assert select.select([ours], [], [], 300)[0], "it goes on"
    assert os.read(ours, 1) == b""
    os.close(ours)


def test_each_kind_of_job_has_its_server_and_another_environment_none() -> None:
    training = ("-m", JOB, "--program=python", "--hide=torchao", "--module=torch", OF_TRL.worker, "experiments/a/run", "--processes=2")
    assert [number_of(("-m", JOB, f"--hide={kind.hidden}" if kind.hidden else "--gpus=0", kind.worker)) for kind in KINDS] == [0, 1, 2, 3]
    assert number_of(training) == KINDS.index(OF_TRL)
    assert number_of(("-m", "ckgit.workers.generate")) is None
    assert fits({**FIXED, "HOME": "/", "TORCHELASTIC_RUN_ID": "1"})
    for name, value in (("OMP_NUM_THREADS", "2"), ("INSPECT_EVAL_EPOCHS", "4"), ("PYTHONPATH", "/x"), ("HF_HOME", "/x")):
        assert not fits({**FIXED, name: value})
