"""A name is an experiment's for good: who designs by hand takes none that was merged or closed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ckgit.errors import CkgitError
from ckgit.experiment.lifecycle import NO_STATE
from ckgit.experiment.state import State
from ckgit.lab.branches import last_merged, last_recorded
from ckgit.lab.experiments import merged_experiments
from ckgit.lab.git.objects import read_object
from ckgit.lab.git.tips import CLOSED, closed_at, is_lost
from ckgit.lab.hooks.pushed import PushedCommit, RefUpdate
from ckgit.lab.hooks.staged import Staged, lab_of_hook
from ckgit.lab.lab import Lab
from ckgit.lab.summary.state import state_in
from ckgit.orchestrators.review.hooks.files import found

if TYPE_CHECKING:
    from ckgit.experiment.outputs.findings import Finding


def staged_name(commit: Staged, summary: str) -> Iterator[Finding]:
    """A summary with which a branch begins, under a name that another experiment has.

    Args:
        summary: its path.
    """
    if commit.merged or not any(file.path == summary and not file.gone for file in commit.files):
        return
    if (commit.head and last_recorded(commit.root, commit.name, commit.head)[1]) or (lab := lab_of_hook(commit.root)) is None:
        return
    if is_lost(lab.root, closed_at(lab.root, commit.name), commit.head):
        yield _taken(commit.name, "was closed", path=summary)
    elif _is_merged(lab, commit.name):
        yield _taken(commit.name, f"was merged into {lab.default_branch}", path=summary)


def pushed_name(lab: Lab, update: RefUpdate, commits: Sequence[PushedCommit], updates: Sequence[RefUpdate]) -> Iterator[Finding]:
    """A branch that begins, or begins anew, under a name that another experiment has."""
    moved = {each.ref: each for each in updates}
    default = moved.get(f"refs/heads/{lab.default_branch}")
    if not lab.base or (default and not default.old):
        return  # a lab comes here as a whole, as it is
    ref = f"{CLOSED}{update.name}"
    closed = moved[ref].new if ref in moved else closed_at(lab.root, update.name)
    if is_lost(lab.root, closed, update.new) and not (update.old and is_lost(lab.root, closed, update.old)):
        yield _taken(update.name, "was closed", commit=update.new)
    elif any(each.recorded and each.recorded.source == NO_STATE for each in commits) and _is_merged(lab, update.name):
        yield _taken(update.name, f"was merged into {lab.default_branch}", commit=update.new)


def _is_merged(lab: Lab, name: str) -> bool:
    """Whether the default branch holds an experiment on which more was done than a design by hand, which goes on."""
    if name not in merged_experiments(lab, ()):
        return False
    if last_merged(lab, name)[0]:
        return True
    try:
        path = f"experiments/{name}/experiment_summary.md"
        return state_in(read_object(lab.root, f"{lab.base}:{path}") or b"", path) is not State.DESIGNED
    except CkgitError:
        return True


def _taken(name: str, how: str, *, commit: str | None = None, path: str = "") -> Finding:
    advice = f"choose another name; ckgit show {name} shows the experiment that has it"
    return found("name", f"{name} is the name of an experiment that {how}", commit=commit, path=path, advice=advice)
