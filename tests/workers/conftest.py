import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ckgit.examples.tiny_model import write_random_model


@pytest.fixture(scope="session")
def random_model(tmp_path_factory):
    """A tiny Llama with random weights: enough wherever what it learns does not matter."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_random_model(folder)
    return folder


def run_job(work: Path, script: str, token: str, programs: Sequence[Path] = (Path(sys.executable).parent,)) -> int:
    """Run a job as a scheduler starts it; its exit code. Its output goes where schedulers put it.

    Args:
        programs: folders that go first on its PATH.
    """
    output = work / ".ckgit" / "jobs" / token / "output"
    output.parent.mkdir(parents=True)
    path = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
    with output.open("wb") as stream:
        done = subprocess.run(
            ["bash", script], cwd=work, stdout=stream, stderr=subprocess.STDOUT, env={"PATH": path, "CKGIT_JOB": token}, check=False
        )
    return done.returncode


@pytest.fixture(scope="session")
def run_script():
    """`run_script(work, script, token)`: a job, with a start of Python of its own (see `run_job`)."""
    return run_job
