import os
import subprocess
import sys
from pathlib import Path

import pytest

from ckgit.examples.tiny_model import write_random_model


@pytest.fixture(scope="session")
def random_model(tmp_path_factory):
    """A tiny Llama with random weights: enough wherever what it learns does not matter."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_random_model(folder)
    return folder


@pytest.fixture(scope="session")
def run_script():
    """`run_script(work, script, token)`: a job as a scheduler starts it; its exit code. Its output goes where schedulers put it."""

    def start(work: Path, script: str, token: str) -> int:
        output = work / ".ckgit" / "jobs" / token / "output"
        output.parent.mkdir(parents=True)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        with output.open("wb") as stream:
            done = subprocess.run(
                ["bash", script], cwd=work, stdout=stream, stderr=subprocess.STDOUT, env={"PATH": path, "CKGIT_JOB": token}, check=False
            )
        return done.returncode

    return start
