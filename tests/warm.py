"""Programs for labs of tests: jobs are forks of processes that have imported torch and what trains or evaluates with it.

A job spends five to eight seconds on imports and one on work. `programs()` is a folder that goes first on PATH, of an environment like
the one that tests run in, whose `python` has a job's work done by such a fork; the script, its environment, its folder, its arguments, its
exit code and its signals are as ever. What else is asked of `python` goes to the real one, as does a job in another environment than the
imports were done in. Where the start itself is what a test is about, it uses the real one, and at least one job of each kind does.

This file is what it starts, too: `warm.py serve SOCKET KIND PID` and, for a job's `python`, `warm.py ask FOLDER WORD...`.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import gc
import importlib
import itertools
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

JOB = "ckgit.workers.job"
RANK = "/ckgit/workers/rank.py"  # what torchrun starts, in each of several processes
WITH_TRL = "python-with-trl"  # runs `-c PROGRAM WORD...` where TRL is imported and torchao cannot be
# Of a job's environment, what is read once, when Python starts or a module is imported; as job scripts set it.
FIXED = {
    **dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"), "1"),
    **dict.fromkeys(("PYTHONUNBUFFERED", "PYTHONSAFEPATH", "PYTHONNOUSERSITE", "OMP_NUM_THREADS"), "1"),
    "PYTHONHASHSEED": "0", "TOKENIZERS_PARALLELISM": "false", "LC_ALL": "C.UTF-8",
}  # fmt: skip
AT_START = ("PYTHONSAFEPATH", "PYTHONNOUSERSITE", "LC_ALL")  # scripts of before did not set these
OF_TORCHRUN = ("TORCHELASTIC_", "TORCH_NCCL_")  # read when processes meet
READ_ONCE = ("PYTHON", "OMP_", "MKL_", "HF_H", "HF_E", "TORCH", "TRANSFORMERS_", "CUDA_", "ACCELERATE_", "INSPECT_", "LD_")
HANDED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
STARTED: list[subprocess.Popen[bytes]] = []
TOKENIZERS = ("transformers.models.auto.tokenization_auto", "jinja2.sandbox")
LLAMA = ("transformers.models.llama.modeling_llama", "transformers.models.llama.configuration_llama")


class Kind(NamedTuple):
    """What jobs of a kind import before their own work. Not the module that they run, which must be imported by running it."""

    worker: str  # that module
    hidden: str  # a module that must not be found
    modules: Sequence[str]
    apart: Sequence[str] = ()  # modules of which each was a command of its own in scripts of before `ckgit.workers.job`


OF_TORCHTUNE = ("prepare", "finish", "components")
TORCHTUNE = ("torchtune._cli.tune", "torchtune.models.llama3_2", "torchtune.training", "torchtune.config", "torchao", *TOKENIZERS, *LLAMA)
TRL = ("trainer", "merge", "prepare")
INSPECT = ("inspect_ai._cli.eval", "inspect_ai._eval.eval", "inspect_ai.model._providers.hf", "accelerate", "transformers", *LLAMA)
APART = ("ckgit.workers.torchtune.prepare", "ckgit.workers.torchtune.finish", "torchtune._cli.tune", "ckgit.workers.environment")
OF_TRL = Kind("ckgit.workers.trl.train", "torchao", (*(f"ckgit.workers.trl.{name}" for name in TRL), *LLAMA))
KINDS = (
    Kind("ckgit.workers.torchtune.train", "", (*(f"ckgit.workers.torchtune.{name}" for name in OF_TORCHTUNE), *TORCHTUNE), APART),
    OF_TRL,
    Kind("ckgit.workers.inspect_ai.evaluate", "", INSPECT, ("ckgit.workers.inspect_ai.evaluate",)),
    Kind("ckgit.workers.inspect_ai.evaluate", "torchao", (*INSPECT, "peft")),
)


@functools.cache
def programs() -> Path:
    """The folder for PATH, one for all processes that share the tests. Nothing is imported before a first job."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if not run:
        return make(Path(tempfile.mkdtemp(prefix="warm", dir="/tmp")), os.getpid())
    top = Path(f"/tmp/warm{run}")  # noqa: S108 - a socket's path must be short
    top.mkdir(exist_ok=True)
    with (top / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return top / "bin" if (top / "bin").exists() else make(top, os.getppid())


def make(top: Path, of: int) -> Path:
    """The programs, below `top`; what they need lives as long as the process `of`."""
    real = Path(sys.executable)
    folder, own = top / "bin", top / "bin" / "python3"
    folder.mkdir()
    for part in ("lib", "pyvenv.cfg"):
        (top / part).symlink_to(real.parents[1] / part)
    for program in real.parent.iterdir():
        if not program.name.startswith("python"):
            (folder / program.name).symlink_to(program)
    own.symlink_to(os.path.realpath(real))
    (folder / "ckgit").unlink()
    write_program(folder / "ckgit", (real.parent / "ckgit").read_text().replace(str(real), str(own), 1))
    ask = f"exec {own} -I -S {__file__} ask {top}"
    asking = f'case "$1 $2" in "-m ckgit.workers."*|"-m torchtune._cli.tune"|"-u "*"{RANK}") {ask} "$@" ;; esac'
    write_program(folder / "python", f'#!/bin/sh\n{asking}\nexec {own} "$@"\n')
    write_program(folder / WITH_TRL, f'#!/bin/sh\n{ask} "$@"\n')
    (folder / "tune").unlink()
    write_program(folder / "tune", f'#!/bin/sh\nexec {folder}/python -m torchtune._cli.tune "$@"\n')
    for number in range(len(KINDS)):
        start(own, top, number, of)
    return folder


def write_program(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


def start(python: Path, top: Path, number: int, of: int) -> None:
    """A process that ends with the process `of`."""
    environment, place = {**FIXED, "PATH": os.environ["PATH"], "HOME": str(top)}, top / str(number)
    command = [python, __file__, "serve", str(place), str(number), str(of)]
    STARTED.append(subprocess.Popen(command, env=environment, cwd=top, stdin=subprocess.DEVNULL, start_new_session=True))
    while not place.exists():
        assert STARTED[-1].poll() is None, "it does not start"
        time.sleep(0.01)


def ask(top: str, words: Sequence[str]) -> None:
    """Be the job's process, as far as its script can see."""
    server = connected(top, words, os.environ)
    if not server:
        os.execv(sys.executable, [sys.executable, *words])  # noqa: S606 - an argument list
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDED_ON)  # until the worker is known
    mask = os.umask(0)
    request = json.dumps([words, os.getcwd(), dict(os.environ), mask]).encode()  # noqa: PTH109 - pathlib is slow to import
    socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(request)
    answers = server.makefile("rb")
    worker = int(answers.readline())
    for number in HANDED_ON:
        signal.signal(number, lambda number, _: os.kill(worker, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDED_ON)
    code = int(answers.readline())
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


def connected(top: str, words: Sequence[str], environment: Mapping[str, str]) -> socket.socket | None:
    """To the process that forks for such a job; None where there is none."""
    number = number_of(words) if fits(environment) else None
    if number is None:
        return None
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{top}/{number}")
    return server


def fits(environment: Mapping[str, str]) -> bool:
    """Whether the imports would come to the same in an environment."""
    kept = {name: value for name, value in environment.items() if not name.startswith(OF_TORCHRUN)}
    known = {name: value for name, value in kept.items() if name in FIXED or name.startswith(READ_ONCE)}
    return {name: FIXED[name] for name in AT_START} | known == FIXED


def number_of(words: Sequence[str]) -> int | None:
    """The place in KINDS of what `python WORD...` needs."""
    option, module, *rest = words
    if option != "-m":
        return 0 if option == "-u" and "/recipes/" in rest[0] else KINDS.index(OF_TRL)
    if module == "ckgit.workers.environment" and "inspect_ai" in rest:
        module = "ckgit.workers.inspect_ai.evaluate"
    if module != JOB:
        return next((number for number, kind in enumerate(KINDS) if module in kind.apart), None)
    options = list(itertools.takewhile(lambda word: word.startswith("--"), rest))  # as `--name=value`
    asked = rest[len(options)], ",".join(word.partition("=")[2] for word in options if word.startswith("--hide="))
    return next((number for number, kind in enumerate(KINDS) if asked == (kind.worker, kind.hidden)), None)


def serve(path: str, kind: Kind, of: int) -> Sequence[str]:
    """Fork for each request, after the imports for the first; only a fork returns, as the process that is to run what was asked for."""
    if kind.hidden:
        sys.modules[kind.hidden] = None  # type: ignore[assignment]  # as in `ckgit.workers.job`
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{path}.part")
    listening.listen(64)
    Path(f"{path}.part").rename(path)
    imported, ended = False, os.pidfd_open(of)
    while ended not in select.select([listening, ended], [], [])[0]:
        asking, _ = listening.accept()
        if not imported:
            for module in kind.modules:
                importlib.import_module(module)
            gc.freeze()  # or each fork would copy what its collector looks through
            imported = True
        if os.fork() == 0:
            listening.close()
            if words := became_worker(asking):
                return words
            os._exit(0)
        asking.close()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
    shutil.rmtree(Path(path).parent, ignore_errors=True)  # who started it has ended
    return sys.exit()


def became_worker(asking: socket.socket) -> Sequence[str]:
    """In a fork of it, and in the worker of that: of these, the first one waits and tells, the other one goes on with what was asked."""
    size, descriptors, _, _ = socket.recv_fds(asking, 8, 3)
    stream = asking.makefile("rb")
    words, folder, environment, mask = json.loads(stream.read(int.from_bytes(size, "big")))
    worker = os.fork()
    if worker:
        for descriptor in descriptors:
            os.close(descriptor)
        wait(asking, worker)
        return ()
    stream.close()
    asking.close()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.umask(mask)
    os.chdir(folder)
    sys.executable = str(Path(sys.executable).with_name("python"))  # what it starts is asked for, too
    os.environ.clear()
    os.environ.update(environment)
    if "PYTHONSAFEPATH" not in environment:
        sys.path.insert(0, folder)
    if (datasets := sys.modules.get("datasets")) and (cache := environment.get("HF_DATASETS_CACHE")):
        _place_of(datasets.config, Path(cache))
    return words


def wait(asking: socket.socket, worker: int) -> None:
    """Until the worker has ended; it does not outlive who asked, who may have been killed."""
    with contextlib.suppress(BrokenPipeError):
        asking.sendall(f"{worker}\n".encode())
    running = os.pidfd_open(worker)
    if running not in select.select([asking, running], [], [])[0]:
        os.kill(worker, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        asking.sendall(f"{code}\n".encode())


def _place_of(config: Any, cache: Path) -> None:
    """`datasets` reads its folders when it is imported."""
    config.HF_DATASETS_CACHE = cache
    config.DOWNLOADED_DATASETS_PATH = cache / config.DOWNLOADED_DATASETS_DIR
    config.EXTRACTED_DATASETS_PATH = config.DOWNLOADED_DATASETS_PATH / config.EXTRACTED_DATASETS_DIR


if __name__ == "__main__":
    _, _role, _place, *_words = sys.argv
    if _role == "ask":
        ask(_place, _words)
    _option, _asked, *_rest = serve(_place, KINDS[int(_words[0])], int(_words[1]))
    if _option == "-u":
        sys.argv = [_asked, *_rest]
        runpy.run_path(_asked, run_name="__main__")
    elif _option == "-c":
        sys.argv = [_option, *_rest]
        exec(_asked, {"__name__": "__main__"})  # noqa: S102 - that is what it is for
    else:
        sys.argv = [_asked, *_rest]
        sys.modules.pop(_asked, None)  # it is run, as in a new process
        runpy.run_module(_asked, run_name="__main__", alter_sys=True)
