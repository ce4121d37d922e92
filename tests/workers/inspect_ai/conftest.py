"""Real model folders, made once."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the folders that tiny_models.py makes."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, Path(__file__).with_name("tiny_models.py"), folder], check=True, capture_output=True)
    return folder
