"""What a claim's verdict can be about: the runs that it names, and what of their settings it leaves open. Pure."""

from __future__ import annotations

from typing import NamedTuple

from ckgit.experiment.design.plan import Run

MODELS, RUNS = "these two models", "these two runs"
ONE_SEED = f"{MODELS}; another seed may differ"


class Scope(NamedTuple):
    """What a verdict is about, in the words that it begins with, and why it is about no more; empty where there is nothing to warn of."""

    about: str
    why: str = ""
    limit: str = ""  # what does not follow, where `why` does not say it

    @property
    def caveat(self) -> str:
        """What stands beside a verdict."""
        return f"{self.why}: {self.limit}" if self.limit else self.why


def scope(left: Run, right: Run) -> Scope:
    """What comparing two runs is about. Each was trained once, with one seed, so no verdict is about its settings."""
    trained = [run for run in (left, right) if run.trains]
    if not trained:
        return Scope(RUNS if left.model == right.model else MODELS)
    if len(trained) == 1:
        return Scope(ONE_SEED, f"{trained[0].name} was trained with one seed", "this does not generalize to its settings")
    differing = {name for name in left.settings.keys() | right.settings.keys() if left[name] != right[name]}
    if differing - {"seed"}:
        return Scope(ONE_SEED, "each was trained with one seed", "this does not generalize to their settings")
    cause = "the seed" if differing else "chance"
    return Scope(MODELS, f"their settings are the same, so the difference comes from {cause} alone")
