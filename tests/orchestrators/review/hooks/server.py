"""A bare repository on a lab's server, with hooks that git itself runs, and pushes to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ckgit.lab.hooks.folder import ON_SERVERS
from tests.conftest import run_git

TOP = Path(__file__).parents[4]
_CKGIT = f'#!/bin/sh\nPYTHONPATH={TOP}:$PYTHONPATH exec {sys.executable} -m ckgit "$@"\n'


def make_server(folder: Path, program: str = _CKGIT) -> Path:
    """A bare repository with all hooks of a server, and with nothing in it.

    Args:
        program: the ckgit that is on the server's PATH.
    """
    file = folder / "bin/ckgit"
    file.parent.mkdir()
    file.write_text(program)
    file.chmod(0o755)
    run_git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "server.git")
    (folder / "server.git/hooks").mkdir(exist_ok=True)
    for name in ON_SERVERS:
        shutil.copy(TOP / "hooks" / name, folder / "server.git/hooks")
    return folder / "server.git"


def push(lab: Path, server: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Push from a clone, whose hooks say nothing; git runs those of the server."""
    path = f"{server.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    command = ["git", "push", "--quiet", str(server), *words]
    env = {**os.environ, "PATH": path, **environment}
    return subprocess.run(command, cwd=lab, env=env, capture_output=True, text=True, check=False)
