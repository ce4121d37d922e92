"""Whether a name is free for a new experiment."""

from __future__ import annotations

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.names import name_problem
from ckgit.lab.experiments import list_experiments
from ckgit.lab.history.deletions import names_with_results
from ckgit.lab.lab import Lab


def refuse_existing(lab: Lab, name: str) -> None:
    """Refuse a name that cannot be one, or that an experiment has, here or on a remote; also one that was merged or closed.

    Raises:
        CkgitError: USAGE.
    """
    if problem := name_problem(name):
        what, onward = f"{name!r} cannot be the name of an experiment: {problem}", "run the same command again with another name"
        raise CkgitError(what, code=Exit.USAGE, state="nothing was written", next=onward)
    row = next((row for row in list_experiments(lab, kept=True) if row.name.lower() == name.lower()), None)
    if row is None:
        _refuse_deleted(lab, name)
        return
    taken = row.name
    exists = f"experiment {name} exists already" if taken == name else f"experiment {taken} exists, and {name} differs from it only in case"
    onward = f"ckgit revise {taken} changes its design, ckgit advance {taken} goes on with it"
    if row.kept or row.closing:
        exists += f"; it was {'closed' if row.closing else row.kept}"
        onward = f"ckgit show {taken} shows it; choose another name"
    raise CkgitError(exists, code=Exit.USAGE, state="nothing was changed", next=onward)


def _refuse_deleted(lab: Lab, name: str) -> None:
    """Refuse a name whose experiment was deleted when it had results: they may have been told to others."""
    if taken := next((each for each in names_with_results(lab.root) if each.lower() == name.lower()), None):
        what = f"experiment {taken} had results, and was deleted: its name is not free"
        onward = f"ckgit delete {taken} --undo brings it back; or choose another name"
        raise CkgitError(what, code=Exit.USAGE, state="nothing was changed", next=onward)
