"""Judging claims about two runs: these models, on rows like these.

A claim that left is greater than right by at least B is supported when the 95 % interval of left minus right lies above B,
not supported when it lies below B, and undecided otherwise; one about what was never measured cannot be judged. Over the same
rows the difference is paired. Scores that are missing are taken at worst and at best: rows that both runs have a score for would
not be like all rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckgit.analysis.claims.decide import decide, level_of
from ckgit.analysis.claims.measured import Absent, Measured, Side, targets
from ckgit.analysis.claims.scope import Scope
from ckgit.analysis.scores import SampleScores, difference, on_unit_scale
from ckgit.analysis.statistics import intervals
from ckgit.analysis.statistics.intervals import Interval
from ckgit.experiment.claims.verdicts import Judgement, Quantity, Verdict
from ckgit.experiment.design.model import Claim, DataSet
from ckgit.experiment.results import RunRow


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
    pair = claim.pair
    if pair is None:
        raise ValueError("a claim about settings is judged from all of their runs")
    measured = Measured(claim, runs)
    sides = [measured.of(name) for name in pair]
    left, right = sides
    if isinstance(left, Absent) or isinstance(right, Absent):
        return _without_numbers(claim, [side for side in sides if isinstance(side, Absent)], scope)
    other = set(pair) <= data.keys() and data[pair[0]] != data[pair[1]]
    found = _compare(left, right, paired=not other and targets(left.cell) == targets(right.cell), level=level_of(claim))
    judgement, reason = decide(claim, *found.interval[:2]) if found.interval else (Judgement.UNDECIDED, found.unknown)
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
        quantity=Quantity.MODELS,
        level=level_of(claim),
        left_scored=left.counted.scored,
        left_asked=left.counted.asked,
        right_scored=right.counted.scored,
        right_asked=right.counted.asked,
        left_epoch=left.cell.epoch,
        right_epoch=right.cell.epoch,
        left_checkpoint=left.cell.checkpoint,
        right_checkpoint=right.cell.checkpoint,
    )


def _without_numbers(claim: Claim, absent: Sequence[Absent], scope: Scope) -> Verdict:
    """What there is to say where a side, or both, have no number."""
    judgement = Judgement.UNDECIDED if all(side.undefined for side in absent) else Judgement.IMPOSSIBLE
    reasons = "; ".join(dict.fromkeys(side.reason for side in absent))
    return Verdict(claim=claim, judgement=judgement, about=scope.about, reason=_with(reasons, scope))


def _with(reason: str, scope: Scope) -> str:
    return f"{reason}; {scope.caveat}" if scope.caveat else reason


def _compare(left: Side, right: Side, *, paired: bool, level: float) -> _Compared:
    whole = left.counted.whole and right.counted.whole
    if left.answers and right.answers:
        return _compare_means(left, right, left.answers, right.answers, paired=paired, whole=whole, level=level)
    samples = min(left.metric.samples, right.metric.samples)
    what = f"{left.metric.name} is not a mean of the rows' scores"
    if not whole:
        return _Compared(None, samples, paired=False, unknown=f"{what}, so nothing is known of what the missing ones would have made of it")
    found = intervals.normal_difference(left.value, left.metric.stderr, right.value, right.metric.stderr, level)
    if found and on_unit_scale(left.metric) and on_unit_scale(right.metric):
        found = found.within(-1.0, 1.0)
    return _Compared(found, samples, paired=False, unknown=f"{what}, and the evaluator gave no standard error")


def _compare_means(
    left: Side, right: Side, one: SampleScores, other: SampleScores, *, paired: bool, whole: bool, level: float
) -> _Compared:
    unit = on_unit_scale(left.metric, one, other) and on_unit_scale(right.metric, one, other)
    found = difference(one, other, paired=paired, unit=unit, level=level)
    alike = "each row differs by the same amount" if paired else "the scores of a side are all the same"
    unknown = f"{alike}, which does not say what other rows would show" if whole else "the scale of this score is not known"
    return _Compared(found, min(len(one.by_id), len(other.by_id)), paired, unknown)


def _missing(left: Side, right: Side, found: _Compared) -> list[str]:
    """What is said of scores that are missing."""
    counted = [f"{side.name}: {side.counted}" for side in (left, right) if not side.counted.whole]
    taken = "the missing ones taken at worst and at best" if found.interval else "so the missing ones could be anything"
    return [f"{', '.join(counted)}, {taken}"] if counted else []
