"""The cluster profile of an experiment, which ckgit.toml may have no more: reading and collecting go on without it, new jobs do not."""

from __future__ import annotations

from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import elsewhere
from ckgit.experiment.jobs import Ledger
from ckgit.experiment.state import State
from ckgit.lab.lab import CONFIG, Lab
from ckgit.orchestrators.engine.experiment import ExperimentView


def check_profile(view: ExperimentView) -> None:
    """Raise where ckgit.toml does not have the profile by which an experiment's jobs would be submitted.

    Raises:
        CkgitError: USAGE, with the command that names another one.
    """
    name, gone, ledger = view.name, view.context.cluster_name, view.ledger
    clusters = view.lab.config.clusters
    if gone in clusters:
        return
    # the one under which the same jobs are found is the same one with another name
    first = next((each for each in clusters if ledger and same_place(view.lab, ledger, each)), view.lab.config.default_cluster)
    others = ", ".join(each for each in sorted(clusters) if each != first)
    rest = f"; other profiles: {others}" if others else ""
    designed = view.snapshot.state is State.DESIGNED
    raise CkgitError(
        f"{view.lab.default_branch} has no cluster profile {gone!r} any more",
        code=Exit.USAGE,
        where=f"{name}: {CONFIG}",
        state="nothing was submitted",
        next=(f"ckgit revise {name} --set compute.cluster={first}" if designed else f"ckgit advance {name} --cluster {first}") + rest,
    )


def same_place(lab: Lab, ledger: Ledger, cluster_name: str) -> bool:
    """Whether a profile hands jobs over where those of a ledger were, and keeps work trees where theirs is."""
    there = lab.config.clusters[cluster_name]
    if elsewhere(there, ledger.model_dump()):
        return False
    return not ledger.work_tree or lab.work_root(cluster_name) in Path(ledger.work_tree).parents
