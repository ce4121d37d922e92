"""What users do to an experiment's branch without ckgit."""

from __future__ import annotations

import subprocess
from pathlib import Path


def commit_by_hand(lab: Path, path: str, content: str | None, message: str = "by hand", experiment: str = "demo") -> None:
    """Write or remove a file of an experiment in a checkout of its own, and commit that."""
    hand = lab.parent / "hand"
    subprocess.run(["git", "worktree", "add", "--quiet", str(hand), f"exp/{experiment}"], cwd=lab, check=True)
    file = hand / "experiments" / experiment / path
    if content is None:
        file.unlink()
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    subprocess.run(["git", "add", "--all"], cwd=hand, check=True)
    subprocess.run(["git", "commit", "--quiet", f"--message={message}"], cwd=hand, check=True)
    subprocess.run(["git", "worktree", "remove", str(hand)], cwd=lab, check=True)
