"""What is wrong with a design's claims: who they name is not there, not evaluated, or the same on both sides. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ckgit.experiment.checks.messages import meant_key
from ckgit.experiment.checks.run_names import instead_of_run
from ckgit.experiment.claims.settings import SEED, TYPE, SettingRuns, chosen, runs_of, settings_of, value_of
from ckgit.experiment.design.claim import Chosen, Claim, side_in_words
from ckgit.experiment.design.model import Summary
from ckgit.experiment.design.plan import Plan, Run, scorers
from ckgit.formats.listing import in_words, nearest
from ckgit.formats.numbers import short_value
from ckgit.formats.problem import Problem

FEWEST_POINTS = 3  # of a trend: a line goes through any two


def claim_problems(summary: Summary, plan: Plan) -> Iterator[Problem]:
    """Every problem of the claims; each claim is held against the runs that the design makes."""
    tasks = {task.name: task for task in summary.evaluation.tasks}
    for position, claim in enumerate(summary.experiment.claims):
        path = f"experiment.claims.{position}"
        if claim.task not in tasks:
            near = nearest(claim.task, tasks)
            meant = f"; did you mean {near}?" if near else f" ({in_words(tasks, 8)})" if tasks else ""
            yield Problem(f"the claim is about task {claim.task}, which is not evaluated{meant}", f"{path}.task")
            continue
        found = [*_side_problems(summary, plan, claim, path)] or [*_unevaluated(summary, plan, claim, path)]
        yield from found or _together(summary, plan, claim, path)
        yield from _scorer_problems(claim, path, [scorer.name for scorer in scorers(summary, tasks[claim.task])])


def _scorer_problems(claim: Claim, path: str, named: Sequence[str]) -> Iterator[Problem]:
    if claim.scorer is None and len(named) > 1:
        yield Problem(f"task {claim.task} has several scorers; say which with scorer: {' or '.join(named)}", path)
    elif claim.scorer and named and claim.scorer not in named:
        near = nearest(claim.scorer, named)
        meant = f"; did you mean {near}?" if near else f" ({in_words(named, 8)})"
        yield Problem(f"task {claim.task} has no scorer {claim.scorer}{meant}", f"{path}.scorer")


def _side_problems(summary: Summary, plan: Plan, claim: Claim, path: str) -> Iterator[Problem]:
    """What is wrong with each side alone."""
    evaluated = {cell.run for cell in plan.cells if cell.task.name == claim.task}
    for name, side in (("left", claim.left), ("right", claim.right)):
        if side is None:
            continue
        place, runs = f"{path}.{name}", chosen(side, plan.runs)
        if isinstance(side, Mapping) and (problem := _no_such_settings(summary, plan, side, place)):
            yield problem
        elif not runs:
            yield Problem(f"there is no run {side}{instead_of_run(str(side), [run.name for run in plan.runs])}", place)
        elif not evaluated & {run.name for run in runs}:
            which = f"run {side} is" if isinstance(side, str) else f"of the runs with {side_in_words(side)} none is"
            yield Problem(f"{which} {'not ' if isinstance(side, str) else ''}evaluated on task {claim.task}", place)


def _unevaluated(summary: Summary, plan: Plan, claim: Claim, path: str) -> Iterator[Problem]:
    """Settings that a claim is about and that are never evaluated on its task: it could not be judged."""
    evaluated = {cell.run for cell in plan.cells if cell.task.name == claim.task}
    about = settings_of([] if claim.pair else runs_of(claim, plan.runs), summary.parameters)
    if lacking := [each.name for each in about if not evaluated & {run.name for run in each.runs}]:
        what = f"the claim is also about {in_words(lacking, 3)}, of which no run is evaluated on {claim.task}"
        yield Problem(f"{what}: name values of those that are, or evaluate all", path)


def _no_such_settings(summary: Summary, plan: Plan, side: Chosen, place: str) -> Problem | None:
    """Which part of a side's settings no run has: a parameter, a value, or only all of them together."""
    known = [*summary.parameters.names(), TYPE]
    for name, wanted in side.items():
        if name not in known:
            return Problem(_no_parameter(summary, name, known), f"{place}.{name}")
        listed = wanted if isinstance(wanted, tuple) else (wanted,)
        if not listed:
            return Problem(f"{name} names no value; leave it out where any will do", f"{place}.{name}")
        for value in listed:
            if not chosen({name: value}, plan.runs):
                return Problem(f"no run has {side_in_words({name: value})}{_instead(plan.runs, name, value)}", f"{place}.{name}")
    return None if chosen(side, plan.runs) else Problem(f"no run has {side_in_words(side)} together, though some have each of them", place)


def _no_parameter(summary: Summary, name: str, known: Sequence[str]) -> str:
    meant = meant_key(name, known, summary.parameters)
    varied = f" (what varies is {in_words(summary.variables)})" if summary.variables else ""
    return f"there is no parameter {name}" + (f"; did you mean {meant}?" if meant else varied)


def _instead(runs: Sequence[Run], name: str, wanted: Any) -> str:
    """The values of a parameter that there are, or the one that was probably meant."""
    there = list(dict.fromkeys(short_value(value) for run in runs if (value := value_of(run, name)) is not None))
    if short_value(wanted) in there:
        return f" as it is written here: the runs have {short_value(wanted)} {'without' if isinstance(wanted, str) else 'with'} quotes"
    near = nearest(wanted, there) if isinstance(wanted, str) else None
    there_are = f" (there {'is' if len(there) == 1 else 'are'} {in_words(there, 8)})" if there else f" (none has a {name})"
    return f"; did you mean {near}?" if near else there_are


def _together(summary: Summary, plan: Plan, claim: Claim, path: str) -> Iterator[Problem]:
    """What is wrong with what a claim names, each part of which is there."""
    if claim.trend:
        yield from _trend_problems(summary, plan, claim, path)
        return
    if claim.left is None or claim.right is None:
        return
    if claim.left == claim.right:
        yield Problem(f"the claim compares {side_in_words(claim.left)} with itself", f"{path}.right")
        return
    left, right = (settings_of(chosen(side, plan.runs), summary.parameters) for side in (claim.left, claim.right))
    if not claim.pair:
        yield from _pair_of_settings(summary, claim, left, right, path)
    if claim.best and len(left) < 2:  # noqa: PLR2004 - of several
        what = f"best is of several settings, and only {left[0].name} has {side_in_words(claim.left)}"
        yield Problem(f"{what}: leave best out, or name several values", f"{path}.best")


def _pair_of_settings(
    summary: Summary, claim: Claim, left: Sequence[SettingRuns], right: Sequence[SettingRuns], path: str
) -> Iterator[Problem]:
    for name, side, found in (("left", claim.left, left), ("right", claim.right, right)):
        if isinstance(side, str) and found[0].trained:
            own = _settings_in_words(summary, found[0].runs[0])
            what = f"run {side} is one training of its settings, and is compared with settings"
            yield Problem(f"{what}: name its settings, too{own}", f"{path}.{name}")
            return
    ours, theirs = [one.name for one in left], {one.name for one in right}
    if any(isinstance(side, Mapping) and SEED in side for side in claim.sides) and theirs == {*ours}:
        yield Problem("the two sides differ in the seed alone, which is chance: name what else they differ in", f"{path}.right")
    elif both := [name for name in ours if name in theirs]:
        listed = " and ".join(f"({name})" for name in both[:2]) + (f" and {len(both) - 2} more" if len(both) > 2 else "")  # noqa: PLR2004
        yield Problem(f"the two sides have settings in common, {listed}: name what they differ in", f"{path}.right")


def _settings_in_words(summary: Summary, run: Run) -> str:
    """How a claim would name a run's settings, where that is short."""
    varied = [name for name in run.varied if name != SEED and name in summary.parameters.names() and run[name] is not None]
    return f", {{{', '.join(f'{name}: {run.varied[name]}' for name in varied)}}}" if varied else ""


def _trend_problems(summary: Summary, plan: Plan, claim: Claim, path: str) -> Iterator[Problem]:
    along, place = str(claim.along), f"{path}.along"
    if along not in summary.parameters.names():
        yield Problem(_no_parameter(summary, along, summary.parameters.names()), place)
        return
    if along == SEED:
        yield Problem("a seed is chance, so nothing goes up or down with it: name what varies besides", place)
        return
    evaluated = {cell.run for cell in plan.cells if cell.task.name == claim.task}
    values = dict.fromkeys(run[along] for run in runs_of(claim, plan.runs) if run.name in evaluated and run[along] is not None)
    if words := [value for value in values if isinstance(value, bool) or not isinstance(value, (int, float))]:
        yield Problem(f"{along} is no number here ({short_value(words[0])}), so nothing goes up or down with it", place)
    elif len(values) < FEWEST_POINTS:
        there = f"there {'is' if len(values) == 1 else 'are'} {in_words(map(short_value, values))}" if values else "no run has it"
        instead = "; of two values say that one is greater than the other" if len(values) == FEWEST_POINTS - 1 else ""
        yield Problem(f"a trend needs at least {FEWEST_POINTS} values of {along} ({there}){instead}", place)
