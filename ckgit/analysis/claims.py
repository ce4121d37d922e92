"""Judging the claims of a design.

A claim that left is greater than right by at least B is supported when the 95 % interval of left minus right lies above B,
not supported when it lies below B, and undecided otherwise; one about what was never measured cannot be judged. Over the same
rows the difference is paired. Scores that are missing are taken at worst and at best: rows that both runs have a score for would
not be like all rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckgit.analysis.claim_scope import Scope
from ckgit.analysis.scores import SampleScores, ScoredCount, difference, mean_scores, means, on_unit_scale, scored_count
from ckgit.analysis.statistics import intervals
from ckgit.analysis.statistics.intervals import Interval
from ckgit.experiment.design.model import Claim, DataSet
from ckgit.experiment.results import CellResult, Judgement, Metric, RunRow, Verdict
from ckgit.formats.markdown import number


class _Side(NamedTuple):
    """What one side of a claim was measured at."""

    name: str
    cell: CellResult
    metric: Metric
    value: float
    counted: ScoredCount
    answers: SampleScores | None  # None where the metric is not their mean


class _Absent(NamedTuple):
    """Why there is no number for one side of a claim."""

    reason: str
    undefined: bool = False  # it was measured, and these answers have no such number


class _Compared(NamedTuple):
    """Left minus right, as far as it is known."""

    interval: Interval | None
    samples: int
    paired: bool
    unknown: str  # why there is no interval, where there is none


def judge(claim: Claim, runs: Sequence[RunRow], data: Mapping[str, DataSet], scope: Scope) -> Verdict:
    """What the runs' cells say of a claim; of a run with several epochs, the last that was evaluated.

    Args:
        data: what each run was evaluated on by the claim's task, by name of the run, where it is known.
        scope: what comparing these runs is about.
    """
    cells = [cell for run in runs for cell in run.cells if cell.task == claim.task]
    sides = [_side(claim, name, cells) for name in (claim.left, claim.right)]
    left, right = sides
    if isinstance(left, _Absent) or isinstance(right, _Absent):
        absent = [side for side in sides if isinstance(side, _Absent)]
        judgement = Judgement.UNDECIDED if all(side.undefined for side in absent) else Judgement.IMPOSSIBLE
        reasons = "; ".join(dict.fromkeys(side.reason for side in absent))
        return Verdict(claim=claim, judgement=judgement, about=scope.about, reason=_with(reasons, scope))
    other = claim.left in data and claim.right in data and data[claim.left] != data[claim.right]
    found = _compare(left, right, paired=not other and _same_rows(left.cell, right.cell))
    judgement, reason = _decide(claim, found)
    low, high, method = found.interval or (None, None, None)
    return Verdict(
        claim=claim,
        judgement=judgement,
        about=scope.about,
        reason=_with("; ".join([reason, *_missing(left, right, found)]), scope),
        left=left.value,
        right=right.value,
        difference=left.value - right.value,
        low=low,
        high=high,
        interval=method,
        samples=found.samples,
        paired=found.paired,
        left_scored=left.counted.scored,
        left_asked=left.counted.asked,
        right_scored=right.counted.scored,
        right_asked=right.counted.asked,
        left_epoch=left.cell.epoch,
        right_epoch=right.cell.epoch,
        left_checkpoint=left.cell.checkpoint,
        right_checkpoint=right.cell.checkpoint,
    )


def _with(reason: str, scope: Scope) -> str:
    return f"{reason}; {scope.caveat}" if scope.caveat else reason


def _side(claim: Claim, name: str, cells: Sequence[CellResult]) -> _Side | _Absent:
    own = [cell for cell in cells if cell.run == name]
    if not own:
        return _Absent(f"there is no result of {name} on {claim.task}")
    cell = max(reversed(own), key=lambda each: -1 if each.epoch is None else each.epoch)  # of several without epochs, the last
    found = [metric for metric in cell.metrics if metric.name == claim.metric and claim.scorer in (None, metric.scorer)]
    if not found:
        listed = ", ".join(dict.fromkeys(metric.name for metric in cell.metrics)) or "none"
        return _Absent(f"{name} on {claim.task} has no metric {claim.metric} (it has: {listed})")
    if len(found) > 1:
        named = ", ".join(metric.scorer for metric in found)
        return _Absent(f"{claim.metric} belongs to several scorers ({named}), and the claim names none")
    [metric] = found
    counted = scored_count(cell, metric)
    if metric.value is None:
        share = "" if counted.whole else f" ({counted})"
        return _Absent(f"{claim.metric} of {name} on {claim.task} is undefined{share}", undefined=True)
    answers = mean_scores(cell, metric) if (metric.scorer, metric.name) in means(cells) else None
    return _Side(name, cell, metric, metric.value, counted, answers)


def _same_rows(left: CellResult, right: CellResult) -> bool:
    """Whether both answered the same rows: ids alone are often no more than numbers of rows."""
    return _targets(left) == _targets(right)


def _targets(cell: CellResult) -> dict[int | str, str | None]:
    return {sample.id: sample.target for sample in cell.samples}


def _compare(left: _Side, right: _Side, *, paired: bool) -> _Compared:
    whole = left.counted.whole and right.counted.whole
    if left.answers and right.answers:
        return _compare_means(left, right, left.answers, right.answers, paired=paired, whole=whole)
    samples = min(left.metric.samples, right.metric.samples)
    what = f"{left.metric.name} is not a mean of the rows' scores"
    if not whole:
        return _Compared(None, samples, paired=False, unknown=f"{what}, so nothing is known of what the missing ones would have made of it")
    found = intervals.normal_difference(left.value, left.metric.stderr, right.value, right.metric.stderr)
    if found and on_unit_scale(left.metric) and on_unit_scale(right.metric):
        found = found.within(-1.0, 1.0)
    return _Compared(found, samples, paired=False, unknown=f"{what}, and the evaluator gave no standard error")


def _compare_means(left: _Side, right: _Side, one: SampleScores, other: SampleScores, *, paired: bool, whole: bool) -> _Compared:
    unit = on_unit_scale(left.metric, one, other) and on_unit_scale(right.metric, one, other)
    found = difference(one, other, paired=paired, unit=unit)
    alike = "each row differs by the same amount" if paired else "the scores of a side are all the same"
    unknown = f"{alike}, which does not say what other rows would show" if whole else "the scale of this score is not known"
    return _Compared(found, min(len(one.by_id), len(other.by_id)), paired, unknown)


def _missing(left: _Side, right: _Side, found: _Compared) -> list[str]:
    """What is said of scores that are missing."""
    counted = [f"{side.name}: {side.counted}" for side in (left, right) if not side.counted.whole]
    taken = "the missing ones taken at worst and at best" if found.interval else "so the missing ones could be anything"
    return [f"{', '.join(counted)}, {taken}"] if counted else []


def _decide(claim: Claim, found: _Compared) -> tuple[Judgement, str]:
    if found.interval is None:
        return Judgement.UNDECIDED, found.unknown
    sign = 1 if claim.direction == "greater" else -1
    low, high = sorted(sign * end for end in found.interval[:2])
    wanted = f"{claim.by:g}"
    if low > claim.by:
        return Judgement.SUPPORTED, f"the whole interval lies beyond {wanted}"
    if high < claim.by:
        return Judgement.NOT_SUPPORTED, f"the whole interval falls short of {wanted}: at most {number(high)}"
    return Judgement.UNDECIDED, f"the interval includes {wanted}"
