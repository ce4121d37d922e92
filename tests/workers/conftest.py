import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ckgit.examples.tiny_model import write_random_model
from tests.warm import programs


@pytest.fixture(scope="session")
def random_model(tmp_path_factory):
    """A tiny Llama with random weights: enough wherever what it learns does not matter."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_random_model(folder)
    return folder


def run_job(work: Path, script: str, token: str, found: Callable[[], Path] = lambda: Path(sys.executable).parent) -> int:
    """Run a job as a scheduler starts it; its exit code. Its output goes where schedulers put it.

    Args:
        found: the folder of programs that goes first on its PATH.
    """
    output = work / ".ckgit" / "jobs" / token / "output"
    output.parent.mkdir(parents=True)
    path = os.pathsep.join([str(found()), os.environ["PATH"]])
    with output.open("wb") as stream:
        done = subprocess.run(
            ["bash", script], cwd=work, stdout=stream, stderr=subprocess.STDOUT, env={"PATH": path, "CKGIT_JOB": token}, check=False
        )
    return done.returncode


@pytest.fixture(scope="session")
def run_script():
    """`run_script(work, script, token)`: a job, with a start of Python of its own (see `run_job`)."""
    return run_job


@pytest.fixture(scope="session")
def run_warm():
    """`run_warm(work, script, token)`: as `run_script`, but each job is a fork of a process whose imports are done (see `tests.warm`)."""
    return functools.partial(run_job, found=programs)
