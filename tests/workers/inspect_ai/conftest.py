"""Real model folders and one real job, made once."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.workers.inspect_ai.examples import TUNED, Ended, run_cell


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the folders that tiny_models.py makes."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, Path(__file__).with_name("tiny_models.py"), folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def tuned(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The evaluation of a fine-tuned run, on a folder as LoRA leaves it."""
    return run_cell(models, tmp_path_factory.mktemp("work"), TUNED)
