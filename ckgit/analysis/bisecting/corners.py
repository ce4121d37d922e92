"""Runs between two others, by which of the differing parameters already have the other one's value.

Two runs that differ in k factors are opposite corners of a cube of k dimensions: a corner is the set of factors that have B's value, A is
the empty set and B the full one. A run of the lab lies at a corner where it has A's or B's value of each factor and is like both in all
else; runs that differ in their seed alone lie at the same one. On a way from A to B one factor changes a step.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.claims.settings import of_each_seed
from ckgit.formats.listing import in_words

MOST_FACTORS = 10  # 1,024 corners
Corner = frozenset[int]  # the factors that have B's value, by their place
REST = "what the designs say elsewhere"  # the factor of all that cannot vary within one design


class PlacedRun(NamedTuple):
    """A run with all that may make a difference to its scores, but for its seed."""

    experiment: str
    run: str
    setting: Mapping[str, Any]  # value by place, e.g. lora_rank, or data.words.path
    seed: int | None
    trained: bool  # whether another seed would give another model

    @property
    def name(self) -> str:
        """As commands take it."""
        return f"{self.experiment}/{self.run}"


class Factor(NamedTuple):
    """A parameter that differs, or several places that can only change together."""

    name: str
    left: Mapping[str, Any]  # A's value by place; a place that A has not is not in it
    right: Mapping[str, Any]


class Cube(NamedTuple):
    """The factors in which two runs differ, and the runs at its corners."""

    factors: Sequence[Factor]
    runs: Mapping[Corner, Sequence[PlacedRun]]
    again: Sequence[str] = ()  # names of runs that are left out: one of the same setting has the same seed

    @property
    def full(self) -> Corner:
        """B's corner."""
        return frozenset(range(len(self.factors)))


def cube_of(
    left: PlacedRun,
    right: PlacedRun,
    others: Iterable[PlacedRun],
    varies: Callable[[str], bool],
    rest: str = REST,
    along: Mapping[str, str] = {},
) -> Cube:
    """The cube between two runs.

    Args:
        others: runs of the lab.
        varies: whether a place is one of a run's parameters, and so may vary within one design; all others make one factor together.
        rest: the name of that one.
        along: places that mean something by another one's value alone, each with that one, with which it makes one factor.

    Raises:
        CkgitError: USAGE, they differ in more than can be told apart.
    """
    differ = [place for place in dict.fromkeys([*left.setting, *right.setting]) if not _same(left.setting, right.setting, [place])]
    alone = [place for place in differ if varies(place) and along.get(place) not in differ]
    single = [[place, *(each for each in differ if along.get(each) == place)] for place in alone]
    together = [place for place in differ if not varies(place)]
    factors = [_factor(left, right, places, places[0]) for places in single]
    factors += [_factor(left, right, together, f"{rest} ({in_words(together, 3)})" if rest == REST else rest)] if together else []
    if len(factors) > MOST_FACTORS:
        what = f"they differ in {len(factors)} parameters, of which at most {MOST_FACTORS} can be told apart: "
        what += in_words([factor.name for factor in factors], len(factors))
        onward = f"name two runs that differ in at most {MOST_FACTORS}; ckgit compare {left.name} {right.name} shows what these differ in"
        raise CkgitError(what, code=Exit.USAGE, state="nothing was compared", next=onward)
    there: dict[Corner, list[PlacedRun]] = {}
    for each in {run.name: run for run in (left, right, *others)}.values():
        if (corner := _corner(each, left, factors)) is not None:
            there.setdefault(corner, []).append(each)
    counted = {corner: of_each_seed(runs, lambda run: run.seed if run.trained else None) for corner, runs in there.items()}
    again = [run.name for _, repeated in counted.values() for run in repeated]
    return Cube(factors, {corner: runs for corner, (runs, _) in counted.items()}, again)


def _factor(left: PlacedRun, right: PlacedRun, places: Sequence[str], name: str) -> Factor:
    return Factor(name, *({place: each.setting[place] for place in places if place in each.setting} for each in (left, right)))


def _corner(run: PlacedRun, left: PlacedRun, factors: Sequence[Factor]) -> Corner | None:
    """Where a run lies; None where that is no corner."""
    own = {place for factor in factors for place in (*factor.left, *factor.right)}
    if not _same(run.setting, left.setting, {*run.setting, *left.setting} - own):
        return None
    found = set()
    for at, factor in enumerate(factors):
        places = {*factor.left, *factor.right}
        if _same(run.setting, factor.right, places):
            found.add(at)
        elif not _same(run.setting, factor.left, places):
            return None
    return frozenset(found)


def _same(one: Mapping[str, Any], other: Mapping[str, Any], places: Collection[str]) -> bool:
    return all(_text(one, place) == _text(other, place) for place in places)


def _text(setting: Mapping[str, Any], place: str) -> str:
    """A value as text; 1 and 1.0 are the same, 1 and true are not."""
    if place not in setting:
        return ""
    value = setting[place]
    return repr(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else json.dumps(value, sort_keys=True)


def way(size: int, known: Collection[Corner]) -> list[Corner]:
    """The corners from A to B, one factor a step, with as few as possible that are not known; of as good ones the first.

    Args:
        size: of the cube.
        known: corners with runs.
    """
    there = {*known}
    best: dict[Corner, tuple[int, list[Corner]]] = {frozenset(): (0, [frozenset()])}
    for _ in range(size):
        reached: dict[Corner, tuple[int, list[Corner]]] = {}
        for corner, (cost, before) in best.items():
            for at in range(size):
                after = corner | {at}
                price = cost + (after not in there)
                if at not in corner and (after not in reached or price < reached[after][0]):
                    reached[after] = (price, [*before, after])
        best = reached
    return next(iter(best.values()))[1]


def steps(size: int, known: Collection[Corner]) -> list[tuple[Corner, int]]:
    """Each pair of known corners that differ in one factor: where it has A's value, and which factor it is."""
    there = {*known}
    ordered = sorted(there, key=lambda corner: (len(corner), sorted(corner)))
    return [(corner, at) for corner in ordered for at in range(size) if at not in corner and corner | {at} in there]


def squares(size: int, known: Collection[Corner]) -> list[tuple[Corner, int, int]]:
    """Each four known corners that differ in two factors: where both have A's value, and which two."""
    there = {*known}
    pairs = [(one, other) for one in range(size) for other in range(one + 1, size)]
    ordered = sorted(there, key=lambda corner: (len(corner), sorted(corner)))
    return [
        (corner, one, other)
        for corner in ordered
        for one, other in pairs
        if not corner & {one, other} and {corner | {one}, corner | {other}, corner | {one, other}} <= there
    ]
