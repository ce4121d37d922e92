"""Scores and verdicts in the words of `ckgit show`, the report and the logs: the same everywhere."""

from __future__ import annotations

from ckgit.analysis.scores import ScoredCount, scored_count
from ckgit.analysis.statistics.intervals import LEVEL
from ckgit.experiment.claims.verdicts import Registered, Verdict
from ckgit.experiment.design.claim import Claim, side_in_words
from ckgit.experiment.results import CellResult, Metric
from ckgit.formats.markdown import NOTHING, UNDEFINED, number, with_ends

OVER_ROWS = "[95 % over rows]"  # what stands in brackets, in a table's head
LEGEND = f"{OVER_ROWS}: 95 % confidence interval over the evaluated rows; variance between training seeds is not included."
OF_CLAIMS = "difference [interval]"  # likewise, of claims: 95 % unless another coverage is said, of what the verdict begins with


def score(cell: CellResult, metric: Metric) -> str:
    """A metric with its interval, and of how many answers it is made where some have no score: `0.500 [0.120, 0.880] (6 of 8 scored)`.

    A metric of an earlier version, which counted no rows and has no interval, is shown with its standard error.
    """
    if metric.value is None:
        text = UNDEFINED
    elif metric.asked is None and metric.stderr:
        text = f"{number(metric.value)} (standard error {metric.stderr:.2g})"
    else:
        text = with_ends(metric.value, metric.low, metric.high)
    counted = scored_count(cell, metric)
    return text if counted.whole else f"{text} ({counted})"


def rows(cell: CellResult, metric: Metric) -> str:
    """The rows that a metric is made of: `100`, or `2 of 8` where some have no score."""
    counted = scored_count(cell, metric)
    return f"{metric.samples:,}" if counted.whole else f"{counted.scored:,} of {counted.asked:,}"


def stated(claim: Claim) -> str:
    """What a claim says."""
    metric = f"{claim.metric} ({claim.scorer})" if claim.scorer else claim.metric
    about, left = f"{metric} on {claim.task}", side_in_words(claim.left)
    if claim.trend:
        margin = f" by at least {claim.by:g} for each unit" if claim.by else ""
        return f"{about} {claim.direction} with {claim.along}{margin}" + (f": {left}" if claim.left else "")
    best = "the best of " if claim.best else ""
    if claim.direction == "same":
        return f"{about}: {left} the same as {side_in_words(claim.right)} within {claim.by:g}"
    margin = f" by at least {claim.by:g}" if claim.by else ""
    return f"{about}: {best}{left} {claim.direction} than {side_in_words(claim.right)}{margin}"


def judged(verdict: Verdict) -> str:
    """What became of a claim, beginning with what that is about; of one that was made with results in sight, that it is exploratory."""
    late = "exploratory: " if verdict.registered in (Registered.CHANGED, Registered.ADDED) else ""
    return f"{late}{verdict.about}: {verdict.judgement}" if verdict.about else f"{late}{verdict.judgement}"


def difference(verdict: Verdict) -> str:
    """Left minus right with its interval, the interval's coverage where that is not 95 %, and how much a side with missing scores has."""
    if verdict.difference is None:
        return NOTHING
    usual = verdict.low is None or verdict.level == LEVEL
    told = [*missing(verdict), *([] if usual else [f"{100 * verdict.level:.4g} %"])]
    return with_ends(verdict.difference, verdict.low, verdict.high) + "".join(f" ({text})" for text in told)


def missing(verdict: Verdict) -> list[str]:
    """Each side of which scores are missing, with how many there are: `rank4: 2 of 8 scored`."""
    claim = verdict.claim
    sides = (
        (side_in_words(claim.left), verdict.left_scored, verdict.left_asked),
        (side_in_words(claim.right), verdict.right_scored, verdict.right_asked),
    )
    counted = [(name, ScoredCount(scored, asked)) for name, scored, asked in sides if scored is not None and asked is not None]
    return [f"{name}: {each}" for name, each in counted if not each.whole]


def compared(verdict: Verdict) -> str:
    """How many rows were compared: `100 paired`."""
    return NOTHING if verdict.samples is None else f"{verdict.samples:,}{' paired' if verdict.paired else ''}"
