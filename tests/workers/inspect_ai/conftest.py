"""Real model folders and one real job, made once for all processes that share the tests."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ckgit.experiment.jobs import Attempt
from tests.workers.inspect_ai.examples import TUNED, Ended, make_context, run_cell


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the folders that tiny_models.py makes."""
    pytest.importorskip("torch")
    command = [sys.executable, Path(__file__).with_name("tiny_models.py")]
    return made_once(tmp_path_factory, "models", lambda folder: subprocess.run([*command, folder], check=True, capture_output=True))


@pytest.fixture(scope="session")
def tuned(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The evaluation of a fine-tuned run, on a folder as LoRA leaves it; its job's Python has started as jobs do."""
    def run(folder: Path) -> None:
        ended = run_cell(models, folder / "work", TUNED, warm=False)
        (folder / "attempt.json").write_text(ended.attempt.model_dump_json())

    folder = made_once(tmp_path_factory, "tuned", run)
    return Ended(make_context(models), folder / "work", Attempt.model_validate_json((folder / "attempt.json").read_bytes()))


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first of several test processes makes and fills."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / f"shared-{name}"
    folder.mkdir(exist_ok=True)
    with (folder / "made").open("a") as made:
        fcntl.flock(made, fcntl.LOCK_EX)
        if not os.fstat(made.fileno()).st_size:
            make(folder)
            made.write("made")
            made.flush()
    return folder
