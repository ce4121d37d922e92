"""For tests of the whole program: a user's shell, and the tiny Llama that `make quickstart` keeps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / ".cache"


def tiny_llama() -> Path:
    """The tiny Llama of the quickstart; made by torchtune where it is not there yet, and kept."""
    folder = MODELS / "tiny_llama"
    if not folder.exists():
        command = [sys.executable, "-m", "ckgit.examples.tiny_model", folder]
        subprocess.run(command, check=True, capture_output=True)
    return folder


def shell(home: Path) -> dict[str, str]:
    """The environment of a user who has this ckgit on PATH and never told git a name."""
    keep = {name: value for name, value in os.environ.items() if name.startswith(("LANG", "LC_", "TMPDIR"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**keep, "HOME": str(home), "PATH": path, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
