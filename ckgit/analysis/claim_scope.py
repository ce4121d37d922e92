"""What a claim's verdict can be about: the runs that it names, and what of their settings it leaves open. Pure."""

from __future__ import annotations

from typing import NamedTuple

from ckgit.experiment.plan import Run

MODELS, RUNS = "these two models", "these two runs"


class Scope(NamedTuple):
    """What a verdict is about, in the words that it begins with, and what it does not say; empty where there is nothing to warn of."""

    about: str
    caveat: str


def scope(left: Run, right: Run) -> Scope:
    """What comparing two runs is about. Each was trained once, with one seed, so no verdict is about its settings."""
    trained = [run for run in (left, right) if run.trains]
    if not trained:
        return Scope(RUNS if left.model == right.model else MODELS, "")
    if len(trained) == 1:
        return Scope(MODELS, f"Nothing about the settings of {trained[0].name}: one seed")
    differing = {name for name in left.settings.keys() | right.settings.keys() if left[name] != right[name]}
    if differing - {"seed"}:
        return Scope(MODELS, "Nothing about the settings: one seed each")
    cause = "what another seed changes" if differing else "chance alone"
    return Scope(MODELS, f"Their settings are the same: the difference is {cause}, and supports no setting")
