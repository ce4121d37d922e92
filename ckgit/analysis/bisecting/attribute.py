"""From the scores at the corners to what explains the gap, in words that claim no more than the runs tell. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from ckgit.analysis.bisecting.corners import Corner, Cube, Factor, squares, steps, way
from ckgit.analysis.bisecting.gaps import CornerDifference, CornerScores, ScoredRun
from ckgit.analysis.comparing.same_rows import UNTOLD
from ckgit.analysis.statistics.intervals import LEVEL
from ckgit.experiment.outputs.across.bisected import (
    BisectedFactor,
    BisectedGap,
    BisectedInteraction,
    BisectedStep,
    Held,
    Told,
    WantedRun,
)
from ckgit.formats.listing import plural
from ckgit.formats.markdown import with_ends
from ckgit.formats.numbers import short_value

_LONGEST = 40  # characters of a value


class Attribution(NamedTuple):
    """What explains a gap."""

    rows: int  # that all runs at the corners have in common
    gap: BisectedGap
    factors: Sequence[BisectedFactor]
    steps: Sequence[BisectedStep]
    interactions: Sequence[BisectedInteraction]
    wanted: Sequence[WantedRun]
    answer: str
    remarks: Sequence[str]


def attribute(cube: Cube, scored: Mapping[Corner, Sequence[ScoredRun]], metric: str) -> Attribution:
    """What explains the gap between the first and the last corner.

    Args:
        scored: at each corner the runs that were evaluated; both ends must be there.
        metric: its name.
    """
    size, known = len(cube.factors), {corner for corner, runs in scored.items() if runs}
    on_way = way(size, known)
    pairs, four = steps(size, known), squares(size, known)
    scores = CornerScores({corner: runs for corner, runs in scored.items() if runs}, compared=len(pairs) + len(four) + (size != 1))
    gap = BisectedGap.model_validate(_gap(scores, cube.full, frozenset())) if size else _of_seeds(scores)
    passed = set(itertools.pairwise(on_way))
    found = [_step(cube, scores, corner, at, on_way=(corner, corner | {at}) in passed) for corner, at in pairs]
    found.sort(key=lambda step: (not step.on_way, list(step.held.values()).count("B") if step.on_way else 0))
    crossed = [_interaction(cube, scores, corner, one, other) for corner, one, other in four]
    wanted = [_wanted(cube, corner) for corner in on_way if corner not in known]
    factors = [BisectedFactor(name=factor.name, a=dict(factor.left), b=dict(factor.right)) for factor in cube.factors]
    answer = _answer(cube, gap, [step for step in found if step.on_way], wanted, metric)
    return Attribution(len(scores.rows), gap, factors, found, crossed, wanted, answer, _remarks(scores, gap, crossed))


def _of_seeds(scores: CornerScores) -> BisectedGap:
    """Of runs that differ in nothing but their seed: nothing is before or after."""
    names = tuple(run.name for run in scores.runs[frozenset()])
    return BisectedGap(
        before=names,
        after=names,
        before_value=None,
        after_value=None,
        difference=None,
        level=scores.level,
        about="settings",
        told="unknown",
    )


def _gap(scores: CornerScores, after: Corner, before: Corner) -> dict[str, object]:
    found = scores.difference({after: 1.0, before: -1.0})
    return {
        "before": tuple(run.name for run in scores.runs[before]),
        "after": tuple(run.name for run in scores.runs[after]),
        "before_value": scores.value(before),
        "after_value": scores.value(after),
        "difference": found.value,
        "low": found.interval.low if found.interval else None,
        "high": found.interval.high if found.interval else None,
        "level": scores.level,
        "interval": found.interval.method if found.interval else None,
        "about": found.about,
        "told": _told(found),
    }


def _told(found: CornerDifference) -> Told:
    if not found.interval:
        return "unknown"
    return "higher" if found.interval.low > 0 else "lower" if found.interval.high < 0 else "not told apart"


def _step(cube: Cube, scores: CornerScores, corner: Corner, at: int, *, on_way: bool) -> BisectedStep:
    held = _held(cube, corner, {at})
    return BisectedStep.model_validate(
        {**_gap(scores, corner | {at}, corner), "factor": cube.factors[at].name, "held": held, "on_way": on_way}
    )


def _held(cube: Cube, corner: Corner, without: set[int]) -> Held:
    side: dict[bool, Literal["A", "B"]] = {True: "B", False: "A"}
    return {factor.name: side[at in corner] for at, factor in enumerate(cube.factors) if at not in without}


def _interaction(cube: Cube, scores: CornerScores, corner: Corner, one: int, other: int) -> BisectedInteraction:
    weights = {corner | {one, other}: 1.0, corner | {one}: -1.0, corner | {other}: -1.0, corner: 1.0}
    found = scores.difference(weights)
    return BisectedInteraction(
        factors=(cube.factors[one].name, cube.factors[other].name),
        held=_held(cube, corner, {one, other}),
        difference=found.value,
        low=found.interval.low if found.interval else None,
        high=found.interval.high if found.interval else None,
        told=_told(found),
    )


def _wanted(cube: Cube, corner: Corner) -> WantedRun:
    """A run at a corner; its seeds are added by who knows which there are."""
    parameters = {place: value for at in sorted(corner) for place, value in cube.factors[at].right.items()}
    return WantedRun(held=_held(cube, corner, set()), parameters=parameters, seeds=(), designed=False)


def _answer(cube: Cube, gap: BisectedGap, on_way: Sequence[BisectedStep], wanted: Sequence[WantedRun], metric: str) -> str:
    if not cube.factors:
        return "A and B differ in no parameter, or in the seed alone: what their scores differ by is chance, and no parameter explains it."
    interval = f" ({percent(gap.level)} interval)" if gap.interval else ""
    parts = [f"{_about(gap)}: B's {metric} minus A's is {_number(gap)}{interval}."]
    if gap.told == "not told apart":
        parts.append("The interval of the gap includes 0, so there may be nothing to explain.")
    parts += [_said(cube, step) for step in on_way]
    if len(cube.factors) == 1:
        parts.append(f"They differ in nothing but {_name(cube.factors[0])}.")
    elif wanted:
        whose = [factor.name for factor in cube.factors if factor.name not in {step.factor for step in on_way}]
        more = f"{len(wanted)} more {'settings' if len(wanted) > 1 else 'setting'} would"
        parts.append(f"No run tells what {_and(whose)} account for apart from each other; {more}.")
    else:
        parts.append(_summed(on_way))
    return " ".join(parts)


def _name(factor: Factor) -> str:
    if len({*factor.left, *factor.right}) > 1:
        return factor.name
    one, other = (_short(next(iter(values.values()), None)) for values in (factor.left, factor.right))
    return f"{factor.name} ({one} → {other})"


def _and(names: Sequence[str]) -> str:
    """Names in a sentence: `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def percent(level: float) -> str:
    """The level of an interval: `95 %`, `98.33 %`."""
    return f"{100 * level:.4g} %"


def _short(value: object) -> str:
    text = "nothing" if value is None else short_value(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _said(cube: Cube, step: BisectedStep) -> str:
    """One step of the way in words."""
    factor = next(each for each in cube.factors if each.name == step.factor)
    others = [name for name, side in step.held.items() if side == "B"]
    held = f" with {_and(others)} as in B" if others else " with all else as in A" if step.held else ""
    told = {
        "higher": "raises it by",
        "lower": "lowers it by",
        "not told apart": "makes no difference that can be told from none:",
        "unknown": "makes a difference of",
    }[step.told]
    chance = ", of which nothing tells how much is chance" if step.told == "unknown" else ""
    return f"Changing {_name(factor)}{held} {told} {_number(step, absolute=step.told == 'lower')}{chance}."


def _number(gap: BisectedGap, *, absolute: bool = False) -> str:
    if gap.difference is None:
        return "unknown"
    ends = (gap.low, gap.high)
    if absolute and gap.low is not None and gap.high is not None:
        ends = (-gap.high, -gap.low)
    return with_ends(-gap.difference if absolute else gap.difference, *ends)


def _about(gap: BisectedGap) -> str:
    if gap.about == "settings":
        return "For the settings, any seed, on rows like these"
    return "For these models, on rows like these (another seed may differ)"


def _summed(on_way: Sequence[BisectedStep]) -> str:
    """What the whole way tells, and what it does not."""
    telling = [step.factor for step in on_way if step.told in ("higher", "lower")]
    told = f"Of the steps, {_and(telling)} can be told from no change" if telling else "No step can be told from no change"
    return (
        f"{told}. Each was changed after those before it; where parameters depend on each other, another order divides the gap otherwise."
    )


def _remarks(scores: CornerScores, gap: BisectedGap, crossed: Sequence[BisectedInteraction]) -> list[str]:
    told = []
    if not scores.rows:
        told.append("no row has the same id and target in all of these runs: values are compared as they are, and have no interval")
    elif scores.others:
        told.append(
            f"{plural(len(scores.rows), 'row')} of all runs are compared; a run has up to {scores.others:,} more, which are left out"
        )
    if not scores.are_means:
        told.append("this metric is not the mean of the rows' scores, so rows cannot be paired, and there are no intervals")
    elif scores.untold:
        told.append(UNTOLD)
    elif not scores.whole:
        told.append("scores that are missing are taken at worst and at best")
    if scores.compared > 1 and gap.interval:
        levels = f"each has {percent(scores.level)}, so that all of them together have {percent(LEVEL)}"
        told.append(f"{scores.compared} intervals are looked at: {levels}")
    if not scores.seeds and scores.are_means:
        told.append("no setting was trained with two seeds: what is told is about these models, not about their settings")
    told += [_depends(each) for each in crossed if each.told in ("higher", "lower")]
    return told


def _depends(each: BisectedInteraction) -> str:
    one, other = each.factors
    more = "more" if each.told == "higher" else "less"
    size = with_ends(each.difference or 0.0, each.low, each.high)
    return f"{one} and {other} depend on each other: with {other} as in B, {one} adds {more} than with {other} as in A, by {size}"
