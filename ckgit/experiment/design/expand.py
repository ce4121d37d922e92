"""From a design to its runs and cells. Pure: the same summary gives the same plan everywhere."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ckgit.experiment.design.model import (
    MatrixRow,
    RunSpec,
    RunType,
    Summary,
)
from ckgit.experiment.design.names import name_problem
from ckgit.experiment.design.parameters import BASE_RECIPE, BEST, Parameters, PlannedCheckpoint, nested
from ckgit.experiment.design.plan import Cell, Plan, Run, Setting, Source
from ckgit.formats.numbers import short_value


def label(parameters: type[Parameters], name: str, value: Any, position: int) -> str:
    """The part of a run's name that says what varies: `rank8`, `lr1e-5`; text that is no name becomes `prompt1`, `prompt2`."""
    alone = name.rpartition(".")[2]
    if isinstance(value, str):
        return value if name not in parameters.free_text and not name_problem(value) else f"{alone}{position}"
    return f"{parameters.short_names.get(name, alone)}{short_value(value)}"


def build_plan(summary: Summary, defaults: Mapping[str, Any] | None = None) -> Plan:
    """Expand a summary whose `problems` are none.

    Args:
        defaults: those that it was scaffolded with, which another ckgit may have done; the tool's where it is None.
    """
    known = summary.parameters.all_defaults() if defaults is None else defaults
    shared = summary.controls.given()
    fallback = {**known, "template_date": summary.experiment.date, "model": summary.models[0]}
    fallback |= {"data": next(iter(summary.data))} if summary.data else {}
    recipes = {name: typed(summary.parameters, recorded).given() for name, recorded in summary.recorded.recipes.items()}
    runs = tuple(_resolve(spec, varied, summary, shared, recipes, fallback) for spec, varied in _specs(summary))
    return Plan(runs=runs, cells=tuple(_cells(summary, runs)))


def _specs(summary: Summary) -> Iterator[tuple[RunSpec, dict[str, str]]]:
    for combination in _combinations(summary.variables):
        values = {parameter: value for parameter, (_, value) in combination.items()}
        name = "_".join(label(summary.parameters, parameter, value, position) for parameter, (position, value) in combination.items())
        own = typed(summary.parameters, values)
        # Built without checks: a name that is none is reported by `problems`.
        spec = RunSpec.model_construct(name=name, type=RunType.FINE_TUNED, parameters=own, checkpoint=None)
        yield spec, {parameter: short_value(value) for parameter, value in values.items()}
    for spec in summary.runs:
        yield spec, {name: short_value(value) for name, value in spec.parameters.given().items()}


def typed(parameters: type[Parameters], values: Mapping[str, Any]) -> Parameters:
    """Values of parameters, as they are read from a document.

    Raises:
        ValidationError: a parameter that does not exist, or a value of the wrong type.
    """
    return parameters.model_validate_json(json.dumps(nested(values)))


def size(variables: Mapping[str, tuple[Any, ...]]) -> int:
    """How many runs variables make."""
    return math.prod(map(len, variables.values())) if variables else 0


def _combinations(variables: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, tuple[int, Any]]]:
    if not variables:
        return
    axes = [[(name, (position, value)) for position, value in enumerate(values, start=1)] for name, values in variables.items()]
    for combination in itertools.product(*axes):
        yield dict(combination)


def _resolve(
    spec: RunSpec,
    varied: dict[str, str],
    summary: Summary,
    shared: Mapping[str, Any],
    recipes: Mapping[str, Mapping[str, Any]],
    fallback: Mapping[str, Any],
) -> Run:
    own = spec.parameters.given()
    recipe_name = own.get(BASE_RECIPE, shared.get(BASE_RECIPE))
    recipe = recipes.get(recipe_name, {}) if recipe_name else {}
    layers = [(Source.RUN, own), (Source.DESIGN, shared), (Source.RECIPE, recipe), (Source.DEFAULT, fallback)]
    settings = {}
    for name in summary.parameters.names():
        found = next(((source, layer[name]) for source, layer in layers if name in layer), None)
        if found:
            settings[name] = Setting(value=found[1], source=found[0])
    return _run(spec, varied, settings, summary.parameters)


def _run(spec: RunSpec, varied: dict[str, str], settings: dict[str, Setting], parameters: type[Parameters]) -> Run:
    """With what follows from the settings, and without those that mean nothing beside the others."""
    values = {name: setting.value for name, setting in settings.items()}
    derived = {name: Setting(value=value, source=Source.DEFAULT) for name, value in parameters.derived(values).items()}
    unused = parameters.unused(values)
    used = {name: setting for name, setting in {**settings, **derived}.items() if name not in unused}
    trains = spec.type is RunType.FINE_TUNED
    return Run(
        name=spec.name,
        type=spec.type,
        settings=used,
        varied=varied,
        checkpoint=spec.checkpoint,
        compute=spec.compute,
        checkpoints=tuple(parameters.checkpoints(values)) if trains else (),
        product=parameters.product,
    )


def _cells(summary: Summary, runs: tuple[Run, ...]) -> Iterator[Cell]:
    seen = set()
    shared = summary.compute.evaluation_jobs == "checkpoint"
    for row in summary.evaluation.matrix:
        chosen = runs if row.runs == "all" else [run for run in runs if run.name in set(row.runs)]
        tasks = [task for task in summary.evaluation.tasks if row.tasks == "all" or task.name in row.tasks]
        for run, task in itertools.product(chosen, tasks):
            for checkpoint in chosen_checkpoints(row, run):
                if (run.name, task.name, checkpoint) not in seen:
                    seen.add((run.name, task.name, checkpoint))
                    yield Cell(run=run.name, task=task, checkpoint=checkpoint, shares_job=shared)


def chosen_checkpoints(row: MatrixRow, run: Run) -> Sequence[PlannedCheckpoint | None]:
    """What a row of the matrix evaluates of a run; the model itself where it is not trained. What a run will not leave is left out."""
    if not run.trains:
        return [None]
    if row.epochs == "last":
        return run.checkpoints[-1:]
    if row.epochs == "all":
        return run.checkpoints
    if row.epochs == "best":
        return [each for each in run.checkpoints if each.name == BEST]
    known = {each.epoch: each for each in run.checkpoints}
    return [known[epoch] for epoch in row.epochs if epoch in known]
