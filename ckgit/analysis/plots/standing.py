"""Which metrics a picture marks as exploratory."""

from __future__ import annotations

from ckgit.experiment.claims.verdicts import Registered
from ckgit.experiment.results import Results

_LATE = (Registered.CHANGED, Registered.ADDED)


def standing(results: Results, task: str, scorer: str, metric: str) -> str:
    """What follows a metric's name in a picture: nothing where a claim of before the results is about it."""
    for each in results.claims:
        about = each.claim
        if (about.task, about.metric) == (task, metric) and about.scorer in (None, scorer) and each.registered not in _LATE:
            return ""
    return " (exploratory)"
