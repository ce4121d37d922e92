"""Which hook asks for what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ckgit.lab.git.command import as_hook
from ckgit.lab.hooks.staged import staged

if TYPE_CHECKING:
    from ckgit.experiment.outputs.findings import Finding


def run_hook(name: str, folder: Path) -> list[Finding]:
    """What a hook has to say against what git is about to do; nothing where this is no lab, or it is about no experiment.

    Args:
        name: the hook's, as git calls it.
        folder: where git has called it.
    """
    with as_hook():
        if name == "pre-commit":
            return _pre_commit(folder.absolute())
        return []


def _pre_commit(folder: Path) -> list[Finding]:
    if (commit := staged(folder)) is None:
        return []
    from ckgit.orchestrators.review.hooks.staged import staged_findings

    return staged_findings(commit)
