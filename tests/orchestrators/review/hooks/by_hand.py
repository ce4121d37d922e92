"""People who commit by hand in a checkout of an experiment's branch, and what the hooks say to them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.command_line import ckgit
from tests.conftest import run_git

SUMMARY = "experiments/cap/experiment_summary.md"


def hook(folder: Path, *words: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a hook as git does: in the top of the checkout."""
    return ckgit("hooks", "run", *words, folder=folder, stdin=stdin, **environment)


def stage(folder: Path, files: dict[str, str | bytes | None]) -> None:
    """Write or remove files, and stage that."""
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
    run_git(folder, "add", "--force", "--", *files)


def change(folder: Path, *pairs: tuple[str, str]) -> str:
    """The summary with other text in some places."""
    text = (folder / SUMMARY).read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text
