"""Confounds: runs that are compared differ in more than what is varied; and duplicate runs. Pure.

A run's *facts* are its settings as far as they change what is trained or measured, and what follows from them. A fact may differ
where one of its causes does: steps follow from epochs by intention. Where it differs without one, a comparison is not about what is varied.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ckgit.experiment.checks.remarks import Remark, joined
from ckgit.experiment.design.model import Claim, Parameters, Stage
from ckgit.experiment.design.plan import EVALUATION_PARAMETERS, Cell, Run, Source, prompts, resources
from ckgit.experiment.estimates import estimate
from ckgit.experiment.worker import Context
from ckgit.formats.numbers import short_value

SCALE, STEPS, STEP_ROWS, SEEN = "lora_alpha/lora_rank", "optimizer steps", "rows of an optimizer step", "rows seen in training"
_BATCH = {"batch_size", "gradient_accumulation_steps"}
# What each derived fact follows from by intention. That a base recipe brings more than one thing is said by itself.
_CAUSES: Mapping[str, set[str]] = {
    SCALE: {"lora_alpha", "method", "base_recipe"},
    STEP_ROWS: {*_BATCH, "base_recipe"},
    STEPS: {*_BATCH, "epochs", "max_steps_per_epoch", "base_recipe"},
    SEEN: {"epochs", "max_steps_per_epoch", "data", "train_split", "base_recipe"},
}
# What changes neither weights nor answers, or says in other words what another fact says.
_NO_FACTS = {"base_recipe", "log_every_n_steps", "max_seq_len", "lora_alpha", "max_steps_per_epoch", "epochs"}
_MOST_GROUPS = 3  # of runs that are the same, as one message each
_NEAR = 0.1  # shares by which rows seen may differ: an incomplete batch is dropped
Facts = dict[str, Hashable]


def confound_remarks(context: Context) -> Iterator[Remark]:
    """Comparisons that are confounded, and runs that are duplicates."""
    plan, recorded = context.plan, context.summary.recorded
    if {run["base_recipe"] for run in plan.runs} - {None, *recorded.recipes}:
        return  # it was not looked up, so settings are not known
    products = [run for run in plan.runs[: len(plan.runs) - len(context.summary.runs)] if run.trains]
    facts = {run.name: derived(context, run) for run in plan.training}
    # where alpha is varied beside the rank, there are pairs of one scale
    for name in [name for name in _CAUSES if name != SCALE or "lora_alpha" not in context.summary.variables]:
        yield from _confounded(context, products, name, facts)
    yield from _recipes(context, products)
    yield from _other_rows(context, products)
    for number, claim in enumerate(context.summary.experiment.claims):
        yield from _claim(context, claim, f"experiment.claims.{number}", facts, {run.name for run in products})
    yield from _same(context)


def derived(context: Context, run: Run) -> Facts:
    """What follows from a run's settings; what cannot be told here is left out."""
    found: Facts = {}
    if run["method"] == "lora":
        found[SCALE] = round(run["lora_alpha"] / run["lora_rank"], 9)
    summary = context.summary
    wanted = resources(summary, run, Stage.TRAINING, context.cluster.training)
    found[STEP_ROWS] = run["batch_size"] * run["gradient_accumulation_steps"] * estimate.processes(wanted)
    recorded = summary.recorded.data.get(run["data"])
    if recorded and run["train_split"] in recorded.splits:
        total = estimate.steps(run, recorded.splits[run["train_split"]], wanted).total
        found |= {STEPS: total, SEEN: total * run["batch_size"] * run["gradient_accumulation_steps"] * estimate.processes(wanted)}
    return found


def _confounded(context: Context, runs: Sequence[Run], name: str, facts: Mapping[str, Facts]) -> Iterator[Remark]:
    """Runs of the variables that agree in all that a fact should follow from, and yet differ in it."""
    variables = list(context.summary.variables)
    groups: dict[tuple[str, ...], dict[Hashable, Run]] = {}
    for run in runs:
        if name in facts[run.name]:
            key = tuple(run.varied[variable] for variable in variables if variable in _CAUSES[name])
            groups.setdefault(key, {}).setdefault(facts[run.name][name], run)
    confounded = next((found for found in groups.values() if _differ(name, list(found))), None)
    if confounded is None:
        return
    apart = [variable for variable in variables if variable not in _CAUSES[name]]
    varied = [variable for variable in apart if len({run.varied[variable] for run in confounded.values()}) > 1]
    values = joined((short_value(value) for value in confounded), "and")
    named = joined(run.name for run in confounded.values())
    sentence = f"runs {named} are confounded: besides {joined(varied)} they differ in {name} ({values})"
    yield Remark(f"variables.{varied[0]}", f"{sentence}, because {_reason(name, next(iter(confounded.values())))}")


def _differ(name: str, values: Sequence[Any]) -> bool:
    if name == SEEN and values:
        return bool(max(values) - min(values) > _NEAR * max(values))
    return len(values) > 1


def _reason(name: str, run: Run) -> str:
    if name == SCALE:
        alpha = run.settings["lora_alpha"]
        source = f" (base_recipe {run['base_recipe']} gives it)" if alpha.source is Source.RECIPE else ""
        remedy = "to compare ranks alone, write the runs out, each with a lora_alpha that goes with its lora_rank"
        return f"lora_alpha is {short_value(alpha.value)} in each{source}, and the LoRA update is scaled by lora_alpha/lora_rank; {remedy}"
    if name == SEEN:
        return "an incomplete batch is dropped, and max_steps_per_epoch cuts an epoch at steps, not at rows"
    return "their splits are not of one size; max_steps_per_epoch can make the steps equal"


def _recipes(context: Context, runs: Sequence[Run]) -> Iterator[Remark]:
    """What else comes with a base recipe where recipes are varied."""
    if "base_recipe" not in context.summary.variables:
        return
    names = [name for name in Parameters.model_fields if name not in ("base_recipe", *context.summary.variables)]
    given = [name for name in names if any(name in run.settings and run.settings[name].source is Source.RECIPE for run in runs)]
    different = [name for name in given if len({repr(run[name]) for run in runs}) > 1]
    if len(different) > 1:
        why = "a difference between the runs may come from any of these"
        yield Remark("variables.base_recipe", f"the base recipes differ in {joined(different)}: {why}")


def _rows_of(context: Context, run: Run, cell: Cell) -> Hashable:
    """The rows that a cell evaluates; None where that cannot be told."""
    name = cell.task.data or run["data"]
    data = context.summary.data.get(name) if name else None
    recorded = context.summary.recorded.data.get(name) if name else None
    return (recorded.sha256, data.input_column, data.output_column, cell.task.split, cell.task.limit) if data and recorded else None


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
        return [name for name in names if name not in _NO_FACTS and self.left[name] != self.right[name]]


def _claim(context: Context, claim: Claim, place: str, facts: Mapping[str, Facts], products: set[str]) -> Iterator[Remark]:
    """A claim whose two sides differ in several things, any of which may be why."""
    sides = _Sides(context.plan.run(claim.left), context.plan.run(claim.right))
    if sides.left.trains and sides.right.trains:
        different = _both_trained(sides, facts, derived_too=not products >= {claim.left, claim.right})
    else:
        trained = sides.left.trains or sides.right.trains
        task = next(task for task in context.summary.evaluation.tasks if task.name == claim.task)
        own = {name for name in ("prompt", "system_prompt") if getattr(task, name) is not None}
        names = [name for name in EVALUATION_PARAMETERS if name not in ("model", "data", *own)]
        different = (["training"] if trained else []) + sides.differ_in(names)
        different += ["model"] if not trained and sides.left.model != sides.right.model else []
    if len(different) > 1:
        which = f"{claim.left} with {claim.right}, which differ in {joined(different)}"
        yield Remark(place, f"the claim compares {which}: it cannot tell which of these is why")
    yield from _claim_rows(context, claim, place, sides, products)


def _both_trained(sides: _Sides, facts: Mapping[str, Facts], *, derived_too: bool) -> list[str]:
    names = [*Parameters.model_fields]
    different = sides.differ_in(names)
    roots = {name for name in names if sides.left[name] != sides.right[name]}
    left, right = facts[sides.left.name], facts[sides.right.name]
    lora = sides.left["method"] == sides.right["method"] == "lora"
    if lora and "lora_alpha" in roots and left[SCALE] != right[SCALE]:
        different.append("lora_alpha")
    if "epochs" in roots or "max_steps_per_epoch" in roots:
        different.append("length of training")
    if sides.left["method"] != sides.right["method"]:
        different = [name for name in different if not name.startswith(("lora_", "apply_lora_"))]
    for name in _CAUSES if derived_too else ():
        caused = roots & _CAUSES[name] or (name == STEPS and STEP_ROWS in different)
        if name in left and name in right and not caused and _differ(name, [*{left[name], right[name]}]):
            different.append(name)
    return different


def _claim_rows(context: Context, claim: Claim, place: str, sides: _Sides, products: set[str]) -> Iterator[Remark]:
    if products >= {claim.left, claim.right}:
        return  # said at the task
    cells = {run.name: next((cell for cell in context.plan.cells_of(run.name) if cell.task.name == claim.task), None) for run in sides}
    asked = {_rows_of(context, run, cell) for run in sides if (cell := cells[run.name]) and cell.task.data is None}
    if len(asked - {None}) > 1:
        yield Remark(place, _other_rows_text(claim.task, sides))


def _same(context: Context) -> Iterator[Remark]:
    """Runs that are one run under several names."""
    found: dict[Hashable, list[Run]] = {}
    for run in context.plan.runs:
        found.setdefault(_identity(context, run), []).append(run)
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


def _identity(context: Context, run: Run) -> Hashable:
    """All that decides what a run is: equal where it would train, or (of one that is not trained) answer, alike."""
    card = context.cards.get(run.model)
    date = run["template_date"] if card and card.template and card.template.uses_date and run["dataset_type"] == "chat" else None
    shared = (run.model, run["dataset_type"], run["device"], run["dtype"], date)
    if not run.trains:
        cells = {(cell.task.name, prompts(run, cell.task), cell.task.data or run["data"]) for cell in context.plan.cells_of(run.name)}
        return (False, *shared, frozenset(cells))
    data = context.summary.data.get(run["data"])
    recorded = context.summary.recorded.data.get(run["data"])
    rows = (recorded.sha256, data.input_column, data.output_column) if data and recorded else run["data"]
    apart = {*EVALUATION_PARAMETERS, *_NO_FACTS} - {"prompt", "system_prompt", "epochs", "lora_alpha"}
    settings = {name: setting.value for name, setting in run.settings.items() if name not in apart}
    facts = derived(context, run)
    limit = () if STEPS in facts else (run["max_steps_per_epoch"],)
    return (True, *shared, rows, *limit, tuple(sorted(map(repr, [*settings.items(), *facts.items()]))))


