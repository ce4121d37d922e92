"""From a design to its runs and cells. Pure: the same summary gives the same plan everywhere."""

from __future__ import annotations

import functools
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from ckgit.experiment.design.fields import laid_over
from ckgit.experiment.design.model import (
    Generation,
    MatrixRow,
    Resources,
    RunCompute,
    RunSpec,
    RunType,
    Scorer,
    Stage,
    Summary,
    TaskSpec,
)
from ckgit.experiment.design.names import name_problem
from ckgit.experiment.design.parameters import BASE_RECIPE, BEST, Parameters, PlannedCheckpoint, Product
from ckgit.formats.numbers import short_value

_GREEDY = Generation.model_construct(max_tokens=128, temperature=0.0)  # where a design does not say how answers are generated


class Source(StrEnum):
    """Where a parameter's value came from, strongest first."""

    RETRY = "retry"
    RUN = "run"
    DESIGN = "design"
    RECIPE = "recipe"
    DEFAULT = "default"


class Setting(NamedTuple):
    """A parameter's value and its source."""

    value: Any
    source: Source


@dataclass(frozen=True)
class Run:
    """One row of the design, with every parameter resolved."""

    name: str
    type: RunType
    settings: dict[str, Setting]
    varied: dict[str, str]  # parameter to its value as text
    checkpoint: str | None
    compute: RunCompute
    checkpoints: tuple[PlannedCheckpoint, ...] = ()  # what its preparation will leave; none where it has none
    product: Product = Product.WEIGHTS  # what is in each of them

    def __getitem__(self, parameter: str) -> Any:
        """The value of a parameter, or None when it has none."""
        setting = self.settings.get(parameter)
        return setting.value if setting else None

    def from_recipe(self, *parameters: str) -> str:
        """The end of a message on parameters that nobody wrote down: which of them the base recipe gives; empty for none."""
        given = [name for name in parameters if name in self.settings and self.settings[name].source is Source.RECIPE]
        return f"; {BASE_RECIPE} {self[BASE_RECIPE]} gives {' and '.join(given)}, and a value in controls goes before it" if given else ""

    @property
    def model(self) -> str:
        """Name of the model card whose weights the run starts from (or, eval-only, evaluates)."""
        return self.checkpoint or str(self["model"])

    @property
    def job(self) -> str:
        """Name of its training job."""
        return f"{self.name}/finetune"

    @property
    def trains(self) -> bool:
        """Whether the run has a training job."""
        return self.type is RunType.FINE_TUNED


@dataclass(frozen=True)
class Cell:
    """One evaluation: a run, a task, a checkpoint."""

    run: str
    task: TaskSpec
    checkpoint: PlannedCheckpoint | None  # None: the model card's own weights, as the design asks them
    shares_job: bool = False  # with the other cells of its checkpoint

    @property
    def epoch(self) -> int | None:
        """The epoch whose checkpoint it evaluates, where that is one's."""
        return self.checkpoint.epoch if self.checkpoint else None

    @property
    def named(self) -> str | None:
        """Folder of its checkpoint, where that is not an epoch's; results and jobs tell it by that."""
        return self.checkpoint.folder if self.checkpoint and self.checkpoint.epoch is None else None

    @property
    def of(self) -> str:
        """What it evaluates, in the names of files and jobs: `epoch0`, `best`, or `base`."""
        return self.checkpoint.name if self.checkpoint else "base"

    @property
    def name(self) -> str:
        """File stem of its script: `capitalization_epoch0`, or `capitalization_base`."""
        return f"{self.task.name}_{self.of}"

    @property
    def job(self) -> str:
        """Name of its job."""
        return f"{self.run}/eval/{self.of if self.shares_job else self.name}"


@dataclass(frozen=True)
class Plan:
    """All runs and cells of a design, in the design's order."""

    runs: tuple[Run, ...]
    cells: tuple[Cell, ...]

    def run(self, name: str) -> Run:
        """The run of that name.

        Raises:
            KeyError: there is none.
        """
        return self._by_name[name]

    @functools.cached_property
    def _by_name(self) -> dict[str, Run]:
        return {run.name: run for run in self.runs}

    def cells_of(self, run: str) -> tuple[Cell, ...]:
        """A run's cells, in the design's order."""
        return tuple(self._cells_by_run.get(run, ()))

    @functools.cached_property
    def _cells_by_run(self) -> dict[str, list[Cell]]:
        found: dict[str, list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(cell.run, []).append(cell)
        return found

    @functools.cached_property
    def evaluation_jobs(self) -> dict[str, list[Cell]]:
        """Cells by name of the job that makes them, in the design's order."""
        found: dict[str, list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(cell.job, []).append(cell)
        return found

    @property
    def training(self) -> tuple[Run, ...]:
        """Runs with a training job."""
        return tuple(run for run in self.runs if run.trains)


def label(parameters: type[Parameters], name: str, value: Any, position: int) -> str:
    """The part of a run's name that says what varies: `rank8`, `lr1e-5`; text that is no name becomes `prompt1`, `prompt2`."""
    if isinstance(value, str):
        return value if name not in parameters.free_text and not name_problem(value) else f"{name}{position}"
    return f"{parameters.short_names.get(name, name)}{short_value(value)}"


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
    return parameters.model_validate_json(json.dumps(values))


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
    for name in summary.parameters.model_fields:
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


def generation(summary: Summary, task: TaskSpec) -> Generation:
    """A task's generation settings over the experiment's; greedy, 128 tokens where neither says."""
    return laid_over(task.generation, summary.evaluation.generation, _GREEDY)


def scorers(summary: Summary, task: TaskSpec) -> tuple[Scorer, ...]:
    """A task's scorers, else the experiment's; empty leaves the task its own."""
    return task.scorers or summary.evaluation.scorers


def prompts(run: Run, task: TaskSpec) -> tuple[str, str]:
    """Prompt and system prompt of a cell: the task's where it has its own, otherwise the run's."""
    prompt = task.prompt if task.prompt is not None else run["prompt"]
    system_prompt = task.system_prompt if task.system_prompt is not None else run["system_prompt"]
    return prompt, system_prompt


def resources(summary: Summary, run: Run, stage: Stage, cluster: Resources) -> Resources:
    """What a job asks for: the run's, over the experiment's, over the cluster profile's."""
    layers: tuple[Resources, Resources, Resources] = (getattr(run.compute, stage.value), getattr(summary.compute, stage.value), cluster)
    return laid_over(*layers)
