"""What makes a checkpoint again that was removed, as far as can be told without computing anything."""

from __future__ import annotations

from collections.abc import Mapping

from ckgit.errors import CkgitError
from ckgit.experiment.card import card_path
from ckgit.lab.lab import Lab
from ckgit.lab.models.find import find_model
from ckgit.orchestrators.engine.experiment import ExperimentView, open_experiment
from ckgit.orchestrators.upkeep.disk import ExperimentOnDisk, TreeOnDisk


def made_again(lab: Lab, found: ExperimentOnDisk) -> Mapping[tuple[str, str], str]:
    """By work tree and run: what makes the run's checkpoints again, or why nothing does."""
    runs = {(str(tree.work), each.run): tree for tree in found.trees for each in tree.checkpoints}
    view, why = None, "not from this repository"
    try:
        view = open_experiment(lab, found.name, kept=True) if found.row and runs else None
    except CkgitError as error:
        why = f"not by ckgit: {error.what}"
    lacking = _lacking(view) if view else {}
    return {key: _again(view, tree, key[1], lacking) if view and tree.ours else why for key, tree in runs.items()}


def _again(view: ExperimentView, tree: TreeOnDisk, run: str, lacking: Mapping[str, str]) -> str:
    if not tree.present and not tree.copy:
        return f"only from commit {tree.work.name[:12]}: the branch has been designed or scaffolded anew"
    if "/" in run:
        return f"by {run.partition('/')[0]}, from which it was taken over"
    if why := lacking.get(run, f"{view.name} has no such run any more"):
        return f"not here: {why}"
    both = f"{view.name} {run}"
    return f"by training again: ckgit reproduce {both}"


def _lacking(view: ExperimentView) -> dict[str, str]:
    """By run: what its training lacks on this machine; empty where that is nothing that can be told."""
    cards = {run.model: "" for run in view.context.plan.runs}
    for model in cards:
        try:
            content = view.snapshot.read(card_path(model)) or b""
            find_model(view.lab, view.context.cluster, view.context.cards[model], content, remember=False)
        except CkgitError as error:
            cards[model] = error.what
    return {run.name: cards[run.model] for run in view.context.plan.runs}
