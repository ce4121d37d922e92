"""MAE, RMSE, R² and the parse rate of answers that are numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ckgit.analysis.measures.answered import NumberAnswer
from ckgit.analysis.measures.made import ALIKE, made
from ckgit.analysis.statistics import intervals
from ckgit.analysis.statistics.intervals import Interval
from ckgit.analysis.statistics.linearised import clustered_interval, of_clustered_mean, of_mean, on_inverses
from ckgit.experiment.measured.measures import Measure

LEAST = 100  # rows: with fewer, a few large errors decide, and intervals do not hold (`python -m bench.coverage`)
_FEW = f"fewer than {LEAST} numbers: no interval is known to hold"
LEAST_CLUSTERS = 20  # with six, 91 of 100 hold
_FEW_CLUSTERS = f"rows belong to fewer than {LEAST_CLUSTERS} groups: no interval is known to hold"
_NO_NUMBER = "undefined: no answer has a number"
_SQUARES = "a few large errors decide it: no interval is known to hold"
ERRORS = ("MAE", "RMSE", "R²")


def number_measures(answers: Sequence[NumberAnswer], *, clustered: bool = False) -> Iterator[Measure]:
    """The first is over all rows, the others over those whose answer has a number.

    Args:
        clustered: whether some rows belong together, for which intervals then allow.
    """
    known = [each for each in answers if each.given is not None]
    yield _parse_rate(answers, len(known), clustered=clustered)
    if not known:
        yield from (Measure(name=name, rows=0, note=_NO_NUMBER) for name in ERRORS)
        return
    errors = [abs((each.given or 0.0) - each.target) for each in known]
    clusters = [each.cluster for each in known]
    few = _FEW if len(known) < LEAST else _FEW_CLUSTERS if clustered and len(set(clusters)) < LEAST_CLUSTERS else ""
    error = of_clustered_mean(errors, clusters) if clustered else of_mean(errors)
    ends = on_inverses(intervals.mean(errors), error, f"{'CR2' if clustered else 't'} on the scale of 1/MAE") if error and not few else None
    yield made("MAE", intervals.mean(errors), ends, len(known), few or ("" if ends else ALIKE))
    yield made("RMSE", math.hypot(*errors) / math.sqrt(len(errors)), None, len(known), _SQUARES)
    yield _r_squared([each.target for each in known], errors, _SQUARES)


def _parse_rate(answers: Sequence[NumberAnswer], parsed: int, *, clustered: bool) -> Measure:
    share: Interval | None = intervals.wilson(parsed, len(answers))
    if clustered:
        share = clustered_interval([float(each.given is not None) for each in answers], [each.cluster for each in answers], unit=True)
    return made("parse rate", parsed / len(answers), share, len(answers), "" if share else ALIKE)


def _r_squared(targets: Sequence[float], errors: Sequence[float], note: str) -> Measure:
    """1 - Σ(answer-target)²/Σ(target-mean)²: how much of the targets' variance the answers explain; below 0 they do worse than the mean."""
    middle = intervals.mean(targets)
    total = math.fsum((target - middle) ** 2 for target in targets)
    if not total:
        return Measure(name="R²", rows=len(targets), note="undefined: all targets are the same")
    return made("R²", 1 - math.fsum(error**2 for error in errors) / total, None, len(targets), note)
