"""Confounds: runs that are compared differ in more than what is varied; and duplicate runs. Pure.

A run's *facts* are its settings as far as they change what is trained or measured, and what follows from them. A fact may differ
where one of its causes does: steps follow from epochs by intention. Where it differs without one, a comparison is not about what is varied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ckgit.experiment.checks.problems import unused_of
from ckgit.experiment.checks.remarks import Remark, joined
from ckgit.experiment.claims.settings import SEED, chosen, runs_of
from ckgit.experiment.design.model import Claim
from ckgit.experiment.design.parameters import BASE_RECIPE, EVALUATION_PARAMETERS
from ckgit.experiment.design.plan import Cell, Run, Source, prompts
from ckgit.experiment.estimates.guess import Fact
from ckgit.experiment.worker import Context, Preparation
from ckgit.formats.numbers import short_value

_MOST_GROUPS = 3  # of runs that are the same, as one message each
Facts = dict[str, Fact]  # by name


def confound_remarks(context: Context, worker: Preparation | None) -> Iterator[Remark]:
    """Comparisons that are confounded, and runs that are duplicates.

    Args:
        worker: of the design's preparation tool, which knows what follows from a run's settings.
    """
    plan, recorded = context.plan, context.summary.recorded
    if {run[BASE_RECIPE] for run in plan.runs} - {None, *recorded.recipes}:
        return  # it was not looked up, so settings are not known
    products = [run for run in plan.runs[: len(plan.runs) - len(context.summary.runs)] if run.trains]
    facts = {run.name: {fact.name: fact for fact in (worker.facts(context, run) if worker else ())} for run in plan.training}
    for name in dict.fromkeys(name for found in facts.values() for name, fact in found.items() if fact.causes):
        yield from _confounded(context, products, name, facts)
    yield from _recipes(context, products)
    yield from _other_rows(context, products)
    for number, claim in enumerate(context.summary.experiment.claims):
        yield from _claim(context, claim, f"experiment.claims.{number}", facts, {run.name for run in products})
    yield from _same(context, facts)


def _confounded(context: Context, runs: Sequence[Run], name: str, facts: Mapping[str, Facts]) -> Iterator[Remark]:
    """Runs of the variables that agree in all that a fact should follow from, and yet differ in it."""
    variables = list(context.summary.variables)
    groups: dict[tuple[str, ...], dict[Hashable, Run]] = {}
    for run in runs:
        if (fact := facts[run.name].get(name)) and fact.causes:
            key = tuple(run.varied[variable] for variable in variables if variable in fact.causes)
            groups.setdefault(key, {}).setdefault(fact.value, run)
    confounded = next((found for found in groups.values() if _differ(name, list(found.values()), facts)), None)
    if confounded is None:
        return
    first = facts[next(iter(confounded.values())).name][name]
    apart = [variable for variable in variables if variable not in first.causes]
    varied = [variable for variable in apart if len({run.varied[variable] for run in confounded.values()}) > 1]
    values = joined((short_value(value) for value in confounded), "and")
    named = joined(run.name for run in confounded.values())
    sentence = f"runs {named} are confounded: besides {joined(varied)} they differ in {name} ({values})"
    yield Remark(f"variables.{varied[0]}", f"{sentence}, because {first.why}")


def _differ(name: str, runs: Sequence[Run], facts: Mapping[str, Facts]) -> bool:
    """Whether any two of the runs differ in a fact."""
    known = [facts[run.name][name] for run in runs]
    return any(one.differs(other.value) for number, one in enumerate(known) for other in known[number + 1 :])


def _recipes(context: Context, runs: Sequence[Run]) -> Iterator[Remark]:
    """What else comes with a base recipe where recipes are varied."""
    if BASE_RECIPE not in context.summary.variables:
        return
    names = [name for name in context.summary.parameters.names() if name not in (BASE_RECIPE, *context.summary.variables)]
    given = [name for name in names if any(name in run.settings and run.settings[name].source is Source.RECIPE for run in runs)]
    different = [name for name in given if len({repr(run[name]) for run in runs}) > 1]
    if len(different) > 1:
        why = "a difference between the runs may come from any of these"
        yield Remark(f"variables.{BASE_RECIPE}", f"the base recipes differ in {joined(different)}: {why}")


def _rows_of(context: Context, run: Run, cell: Cell) -> Hashable:
    """The rows that a cell evaluates; None where that cannot be told."""
    name = cell.task.data or run["data"]
    data = context.summary.data.get(name) if name else None
    recorded = context.summary.recorded.data.get(name) if name else None
    return (data.reading(recorded, name), cell.task.split, cell.task.limit) if data and recorded else None


def _other_rows(context: Context, runs: Sequence[Run]) -> Iterator[Remark]:
    """Tasks that ask runs which are compared different rows, because each run evaluates the data that it is trained on."""
    asked: dict[str, dict[Hashable, Run]] = {}
    by_name = {run.name: run for run in runs}
    for cell in context.plan.cells:
        if cell.run in by_name and cell.task.data is None:
            asked.setdefault(cell.task.name, {}).setdefault(_rows_of(context, by_name[cell.run], cell), by_name[cell.run])
    for name, found in asked.items():
        if len(found) > 1:
            yield Remark(context.summary.evaluation.place(name), _other_rows_text(name, list(found.values())))


def _other_rows_text(task: str, runs: Sequence[Run]) -> str:
    named = joined(f"{run.name} (data {run['data']})" for run in runs)
    return f"task {task} asks each run the rows of its own data, so {named} are measured on different rows; name one under the task's data"


class _Sides(NamedTuple):
    """The two runs of a claim."""

    left: Run
    right: Run

    def differ_in(self, names: Sequence[str]) -> list[str]:
        """Those of the parameters in which they differ."""
        return [name for name in names if self.left[name] != self.right[name]]


def _claim(context: Context, claim: Claim, place: str, facts: Mapping[str, Facts], products: set[str]) -> Iterator[Remark]:
    """A claim whose two sides differ in several things, any of which may be why."""
    if claim.pair is None:
        yield from _claim_of_settings(context, claim, place, facts, products)
        return
    sides = _Sides(*map(context.plan.run, claim.pair))
    if sides.left.trains and sides.right.trains:
        different = _both_trained(context, sides, facts, derived_too=not products >= {run.name for run in sides})
    else:
        trained = sides.left.trains or sides.right.trains
        task = next(task for task in context.summary.evaluation.tasks if task.name == claim.task)
        own = {name for name in ("prompt", "system_prompt") if getattr(task, name) is not None}
        names = [name for name in EVALUATION_PARAMETERS if name not in ("model", "data", *own)]
        different = (["training"] if trained else []) + sides.differ_in(names)
        different += ["model"] if not trained and sides.left.model != sides.right.model else []
    if len(different) > 1:
        which = f"{sides.left.name} with {sides.right.name}, which differ in {joined(different)}"
        yield Remark(place, f"the claim compares {which}: it cannot tell which of these is why")
    yield from _claim_rows(context, claim, place, sides, products)


def _both_trained(context: Context, sides: _Sides, facts: Mapping[str, Facts], *, derived_too: bool) -> list[str]:
    parameters = context.summary.parameters
    roots = {*sides.differ_in(parameters.names())}
    left, right = facts[sides.left.name], facts[sides.right.name]
    told = {name for fact in left.values() if fact.said for name in fact.instead_of}
    idle = {*unused_of(context.summary, sides.left), *unused_of(context.summary, sides.right), *parameters.no_difference, *told}
    different = [name for name in parameters.names() if name in roots - idle]
    unequal = [fact for name, fact in left.items() if name in right and fact.differs(right[name].value)]
    different += [fact.said for fact in unequal if fact.said and fact.instead_of & roots]
    for fact in unequal if derived_too else ():
        if fact.causes and not fact.causes & roots and fact.follows not in different:
            different.append(fact.name)
    return different


def _claim_of_settings(context: Context, claim: Claim, place: str, facts: Mapping[str, Facts], products: set[str]) -> Iterator[Remark]:
    """A claim about settings that differ in more than it names, wherever that is not the same on both sides."""
    evaluated = {cell.run for cell in context.plan.cells if cell.task.name == claim.task}
    runs = [run for run in runs_of(claim, context.plan.runs) if run.name in evaluated]
    groups = _groups(claim, runs)
    first, *others = groups or [[]]
    for other in others if all(run.trains for run in runs) else ():
        if unnamed := _unnamed(context, claim, _Sides(first[0], other[0]), (first, other), facts):
            what = f"the claim is about {joined(_named(claim))}, and the runs that it compares differ in {joined(unnamed)}, too"
            yield Remark(place, f"{what}: it cannot tell which of these is why")
            break
    yield from _claim_rows(context, claim, place, runs, products)


def _groups(claim: Claim, runs: Sequence[Run]) -> list[list[Run]]:
    """The runs that are held against each other: those of each side, or of each value of a trend."""
    if not claim.trend:
        return [of_side for side in claim.sides if (of_side := chosen(side, runs))]
    found: dict[Hashable, list[Run]] = {}
    for run in runs:
        found.setdefault(run[str(claim.along)], []).append(run)
    return list(found.values())


def _named(claim: Claim) -> list[str]:
    """The parameters that a claim is about."""
    return list(
        dict.fromkeys(
            [*([claim.along] if claim.along else []), *(name for side in claim.sides if not isinstance(side, str) for name in side)]
        )
    )


def _unnamed(
    context: Context, claim: Claim, sides: _Sides, groups: tuple[Sequence[Run], Sequence[Run]], facts: Mapping[str, Facts]
) -> list[str]:
    """What differs beside what a claim names: a parameter of which each side has other values, or has them more often; and what follows."""
    parameters = context.summary.parameters
    idle = {*unused_of(context.summary, sides.left), *unused_of(context.summary, sides.right), *parameters.no_difference}
    told = {name for fact in facts[sides.left.name].values() if fact.said for name in fact.instead_of}
    apart = {*_named(claim), *idle, *told, SEED}
    found = [name for name in parameters.names() if name not in apart and _shares(groups[0], name) != _shares(groups[1], name)]
    if sides.differ_in(found):
        return found
    roots = {name for name in _both_trained(context, sides, facts, derived_too=True) if name not in apart}
    return [*found, *sorted(roots - {*sides.differ_in(parameters.names()), *found})]


def _shares(runs: Sequence[Run], name: str) -> dict[str, float]:
    """By value of a parameter the share of the runs that have it."""
    counts = Counter(repr(run[name]) for run in runs)
    return {value: count / len(runs) for value, count in counts.items()}


def _claim_rows(context: Context, claim: Claim, place: str, sides: Sequence[Run], products: set[str]) -> Iterator[Remark]:
    if products >= {run.name for run in sides}:
        return  # said at the task
    cells = {run.name: next((cell for cell in context.plan.cells_of(run.name) if cell.task.name == claim.task), None) for run in sides}
    asked = {_rows_of(context, run, cell) for run in sides if (cell := cells[run.name]) and cell.task.data is None}
    if len(asked - {None}) > 1:
        yield Remark(place, _other_rows_text(claim.task, sides))


def _same(context: Context, facts: Mapping[str, Facts]) -> Iterator[Remark]:
    """Runs that are one run under several names."""
    found: dict[Hashable, list[Run]] = {}
    for run in context.plan.runs:
        found.setdefault(_identity(context, run, facts.get(run.name, {})), []).append(run)
    groups = [runs for runs in found.values() if len(runs) > 1]
    for runs in groups[:_MOST_GROUPS]:
        work = "training" if runs[0].trains else "evaluation"
        times = "twice" if len(runs) == 2 else f"{len(runs)} times"  # noqa: PLR2004 - two have a word of their own
        named = joined(run.name for run in runs)
        more = f" (and so on: {len(groups)} such groups)" if len(groups) > _MOST_GROUPS and runs is groups[_MOST_GROUPS - 1] else ""
        yield Remark(_run_place(context, runs[-1]), f"runs {named} are duplicates: the same {work} would run {times}{more}")


def _run_place(context: Context, run: Run) -> str:
    position = next((n for n, spec in enumerate(context.summary.runs) if spec.name == run.name), None)
    return "variables" if position is None else f"runs.{position}"


def _identity(context: Context, run: Run, facts: Facts) -> Hashable:
    """All that decides what a run is: equal where it would train, or (of one that is not trained) answer, alike."""
    card = context.cards.get(run.model)
    date = run["template_date"] if card and card.template and card.template.uses_date and run["dataset_type"] == "chat" else None
    shared = (run.model, run["dataset_type"], run["device"], run["dtype"], date)
    if not run.trains:
        cells = {(cell.task.name, prompts(run, cell.task), cell.task.data or run["data"]) for cell in context.plan.cells_of(run.name)}
        return (False, *shared, frozenset(cells))
    data = context.summary.data.get(run["data"])
    recorded = context.summary.recorded.data.get(run["data"])
    rows = data.reading(recorded, run["data"]) if data and recorded else run["data"]
    told = {name for fact in facts.values() if fact.causes for name in fact.instead_of}
    apart = {*EVALUATION_PARAMETERS, *context.summary.parameters.no_difference, *told} - {"prompt", "system_prompt"}
    settings = {name: setting.value for name, setting in run.settings.items() if name not in apart}
    derived = {name: fact.value for name, fact in facts.items() if fact.causes}
    return (True, *shared, rows, tuple(sorted(map(repr, [*settings.items(), *derived.items()]))))
