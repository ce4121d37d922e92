"""Judging the claims of a design.

A claim that left is greater than right by at least B is supported when the 95 % confidence interval of left minus right
lies above B, not supported when it lies below B, and undecided otherwise. Over the same samples the difference is paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckgit.analysis import statistics
from ckgit.analysis.scores import mean_scores
from ckgit.analysis.statistics import Estimate
from ckgit.experiment.design import Claim, DataSet
from ckgit.experiment.results import CellResult, Judgement, Metric, RunRow, Verdict


class _Side(NamedTuple):
    """What one side of a claim was measured at."""

    cell: CellResult
    metric: Metric
    value: float

    @property
    def estimate(self) -> Estimate:
        return Estimate(self.value, self.metric.stderr, self.metric.samples)


def judge(claim: Claim, runs: Sequence[RunRow], data: Mapping[str, DataSet]) -> Verdict:
    """What the runs' cells say of a claim; of a run with several epochs, the last that was evaluated.

    Args:
        data: what each run was evaluated on by the claim's task, by name of the run, where it is known.
    """
    sides = [_side(claim, name, runs) for name in (claim.left, claim.right)]
    left, right = sides
    if isinstance(left, str) or isinstance(right, str):
        reasons = dict.fromkeys(side for side in sides if isinstance(side, str))
        return Verdict(claim=claim, judgement=Judgement.UNDECIDED, reason="; ".join(reasons))
    other = claim.left in data and claim.right in data and data[claim.left] != data[claim.right]
    paired = None if other else _paired(left, right)
    difference = paired or statistics.independent_difference(left.estimate, right.estimate)
    judgement, reason = _decide(claim, difference, paired=paired is not None)
    low, high = difference.interval or (None, None)
    return Verdict(
        claim=claim,
        judgement=judgement,
        reason=reason,
        left=left.value,
        right=right.value,
        difference=difference.value,
        stderr=difference.stderr,
        low=low,
        high=high,
        samples=difference.samples,
        paired=paired is not None,
        left_epoch=left.cell.epoch,
        right_epoch=right.cell.epoch,
    )


def _side(claim: Claim, name: str, runs: Sequence[RunRow]) -> _Side | str:
    cells = [cell for run in runs if run.name == name for cell in run.cells if cell.task == claim.task]
    if not cells:
        return f"there is no result of {name} on {claim.task}"
    cell = max(cells, key=lambda each: -1 if each.epoch is None else each.epoch)
    found = [metric for metric in cell.metrics if metric.name == claim.metric and claim.scorer in (None, metric.scorer)]
    if not found:
        listed = ", ".join(dict.fromkeys(metric.name for metric in cell.metrics)) or "none"
        return f"{name} on {claim.task} has no metric {claim.metric} (it has: {listed})"
    if len(found) > 1:
        return f"{claim.metric} belongs to several scorers ({', '.join(metric.scorer for metric in found)}), and the claim names none"
    if found[0].value is None:
        return f"{claim.metric} of {name} on {claim.task} is undefined"
    return _Side(cell, found[0], found[0].value)


def _paired(left: _Side, right: _Side) -> Estimate | None:
    """The paired difference, or None where the samples are not the same: ids alone are often no more than numbers of rows."""
    if _targets(left.cell) != _targets(right.cell):
        return None
    left_scores, right_scores = (mean_scores(side.cell, side.metric) for side in (left, right))
    if not left_scores or not right_scores or left_scores.keys() != right_scores.keys():
        return None
    return statistics.paired_difference(left_scores, right_scores)


def _targets(cell: CellResult) -> dict[int | str, str | None]:
    return {sample.id: sample.target for sample in cell.samples}


def _decide(claim: Claim, difference: Estimate, *, paired: bool) -> tuple[Judgement, str]:
    sign = 1 if claim.direction == "greater" else -1
    wanted = f"{claim.by:g}"
    if difference.interval is None:
        return Judgement.UNDECIDED, "the difference has no standard error"
    low, high = sorted(sign * end for end in difference.interval)
    if difference.stderr == 0:
        return _decide_exactly(claim, sign * difference.value, paired=paired)
    if low > claim.by:
        return Judgement.SUPPORTED, f"the whole interval lies beyond {wanted}"
    if high < claim.by:
        return Judgement.NOT_SUPPORTED, f"the whole interval falls short of {wanted}"
    return Judgement.UNDECIDED, f"the interval includes {wanted}"


def _decide_exactly(claim: Claim, margin: float, *, paired: bool) -> tuple[Judgement, str]:
    """The standard error is 0, so the interval is a point."""
    held = margin >= claim.by if claim.by else margin > 0
    judgement = Judgement.SUPPORTED if held else Judgement.NOT_SUPPORTED
    alike = "every sample differs by the same amount" if paired else "each side's samples all have the same score"
    return judgement, f"{alike}; a standard error of 0 is no measure of what further samples would show"
