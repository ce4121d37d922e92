"""A `python` for job scripts whose imports are done: each job is a fork of one process that has imported torch and what trains with it.

A job spends eight seconds on imports and one on work. A folder of this goes first on PATH; the script, its environment, its arguments,
its exit code and its signals are as ever. What else is asked of `python` goes to the real one, as does a job in another environment than
the imports were done in. Where the start itself is what a test is about, it uses the real one.

This file is what it starts, too: `warm.py serve SOCKET HIDDEN MODULE...` and, for a job's `python`, `warm.py ask SOCKET WORD...`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

JOB = "ckgit.workers.job"
# Of a job's environment, what is read once, when Python starts or a module is imported; as job scripts set it.
FIXED = {
    **dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"), "1"),
    **dict.fromkeys(("PYTHONUNBUFFERED", "PYTHONSAFEPATH", "PYTHONNOUSERSITE", "OMP_NUM_THREADS"), "1"),
    "PYTHONHASHSEED": "0", "TOKENIZERS_PARALLELISM": "false", "LC_ALL": "C.UTF-8",
}  # fmt: skip
READ_ONCE = ("PYTHON", "OMP_", "MKL_", "HF_H", "HF_E", "TORCH", "TRANSFORMERS_", "CUDA_", "ACCELERATE_", "INSPECT_", "LD_")


@contextlib.contextmanager
def warm_python(folder: Path, modules: Sequence[str], hidden: str = "") -> Iterator[Path]:
    """A folder for PATH, with a `python` that has imported modules; it is stopped in the end.

    Args:
        hidden: a module that must not be found.
    """
    place = Path(tempfile.mkdtemp(prefix="warm", dir="/tmp"))
    asked, script = place / "socket", folder / "python"
    real, own = sys.executable, Path(__file__)
    script.write_text(f'#!/bin/sh\n[ "$1 $2" = "-m {JOB}" ] && exec {real} -I -S {own} ask {asked} "$@"\nexec {real} "$@"\n')
    script.chmod(0o755)
    environment = {**FIXED, "PATH": os.environ["PATH"], "HOME": str(folder)}
    serving = subprocess.Popen([real, str(own), "serve", str(asked), hidden, *modules], env=environment, cwd=folder)
    try:
        while not asked.exists():
            assert serving.poll() is None, "the imports failed"
            time.sleep(0.05)
        yield folder
    finally:
        serving.kill()
        serving.wait()
        asked.unlink(missing_ok=True)
        place.rmdir()


def ask(path: str, words: Sequence[str]) -> None:
    """Be the job's process, as far as its script can see."""
    if {name: value for name, value in os.environ.items() if name in FIXED or name.startswith(READ_ONCE)} != FIXED:
        os.execv(sys.executable, [sys.executable, *words])  # noqa: S606 - an argument list
    server = socket.socket(socket.AF_UNIX)
    server.connect(path)
    request = json.dumps([words, str(Path.cwd()), dict(os.environ)]).encode()
    socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(request)
    answers = server.makefile("rb")
    worker = int(answers.readline())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(worker, number))
    code = int(answers.readline())
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


def serve(path: str, hidden: str, modules: Sequence[str]) -> None:
    """Import, then fork for each request; only a fork returns, as the job's process that is to run its module."""
    if hidden:
        sys.modules[hidden] = None  # type: ignore[assignment]  # as in `ckgit.workers.job`
    for module in modules:
        importlib.import_module(module)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{path}.part")
    listening.listen(64)
    Path(f"{path}.part").rename(path)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        asking, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if became_worker(asking):
                return
            os._exit(0)
        asking.close()


def became_worker(asking: socket.socket) -> bool:
    """In a fork of it, and in the worker of that: of these, the first one waits and tells, the other one goes on."""
    size, descriptors, _, _ = socket.recv_fds(asking, 8, 3)
    with asking.makefile("rb") as stream:
        words, folder, environment = json.loads(stream.read(int.from_bytes(size, "big")))
    worker = os.fork()
    if worker:
        asking.sendall(f"{worker}\n".encode())
        asking.sendall(f"{os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])}\n".encode())
        return False
    asking.close()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = words[1:]
    if datasets := sys.modules.get("datasets"):
        _place_of(datasets.config, Path(environment["HF_DATASETS_CACHE"]))
    return True


def _place_of(config: Any, cache: Path) -> None:
    """`datasets` reads its folders when it is imported."""
    config.HF_DATASETS_CACHE = cache
    config.DOWNLOADED_DATASETS_PATH = cache / config.DOWNLOADED_DATASETS_DIR
    config.EXTRACTED_DATASETS_PATH = config.DOWNLOADED_DATASETS_PATH / config.EXTRACTED_DATASETS_DIR


if __name__ == "__main__":
    _, _role, _socket, *_words = sys.argv
    if _role == "ask":
        ask(_socket, _words)
    serve(_socket, _words[0], _words[1:])
    runpy.run_module(JOB, run_name="__main__", alter_sys=True)
