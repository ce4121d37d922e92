"""A push to the default branch: what was merged into it stays as it was merged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ckgit.lab.branches import last_merged
from ckgit.lab.git.command import git_lines
from ckgit.lab.hooks.pushed import RefUpdate
from ckgit.lab.lab import Lab

if TYPE_CHECKING:
    from ckgit.experiment.outputs.findings import Finding


def default_findings(lab: Lab, update: RefUpdate) -> Iterator[Finding]:
    """Files of ckgit's that it changes, and that are not as the last step of their experiment left them."""
    if not update.old or not update.new:
        return  # a lab comes here as a whole, as it is
    changed = git_lines(lab.root, "diff-tree", "-r", "-z", "--name-only", update.old, update.new, "--", "experiments/")
    for name in dict.fromkeys(path.split("/")[1] for path in changed if path.count("/") > 1):
        yield from _otherwise(lab, name, update.new)


def _otherwise(lab: Lab, name: str, tip: str) -> Iterator[Finding]:
    step, _ = last_merged(lab, name, tip)
    if step:
        from ckgit.orchestrators.review.merged import since_merged

        yield from since_merged(lab, name, step, tip)
