"""From a design to its runs and cells. Pure: the same summary gives the same plan everywhere."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import Field, ValidationError

from ckgit.experiment.design import (
    Frozen,
    Generation,
    MatrixRow,
    Parameters,
    Resources,
    RunCompute,
    RunSpec,
    RunType,
    Scorer,
    Stage,
    Summary,
    TaskSpec,
)
from ckgit.experiment.errors import Problem
from ckgit.experiment.names import name_problem

# Parameters that torchtune's own recipes call by these names, except dataset_type, method and the prompts, which are ours.
DEFAULTS: dict[str, Any] = {
    "train_split": "train",
    "method": "lora",
    "epochs": 1,
    "batch_size": 4,
    "gradient_accumulation_steps": 1,
    "lr": 3e-4,
    "weight_decay": 0.01,
    "optimizer": "adamw",
    "lr_scheduler": "cosine",
    "num_warmup_steps": 0,
    "lora_rank": 8,
    "lora_dropout": 0.0,
    "lora_attn_modules": ("q_proj", "v_proj", "output_proj"),
    "apply_lora_to_mlp": True,
    "apply_lora_to_output": False,
    "dataset_type": "chat",
    "prompt": "{input}",
    "system_prompt": "",
    "seed": 0,
    "shuffle": True,
    "device": "cuda",
    "dtype": "bf16",
    "compile": False,
    "enable_activation_checkpointing": False,
    "log_every_n_steps": 1,
}
LORA_ONLY = ("lora_rank", "lora_alpha", "lora_dropout", "lora_attn_modules", "apply_lora_to_mlp", "apply_lora_to_output")
SHORT_NAMES = {"lora_rank": "rank", "lora_alpha": "alpha", "lora_dropout": "dropout", "batch_size": "batch", "num_warmup_steps": "warmup"}
# What a control or eval-only run can differ in: everything else only means something in training.
EVALUATION_PARAMETERS = ("model", "data", "dataset_type", "prompt", "system_prompt", "template_date", "device", "dtype")


class Source(StrEnum):
    """Where a parameter's value came from, strongest first."""

    RUN = "run"
    DESIGN = "design"
    RECIPE = "recipe"
    DEFAULT = "default"


class Setting(Frozen):
    """A parameter's value and its source."""

    value: Any
    source: Source


class Run(Frozen):
    """One row of the design, with every parameter resolved."""

    name: str
    type: RunType
    settings: dict[str, Setting]
    varied: dict[str, str] = {}
    checkpoint: str | None = None
    compute: RunCompute = Field(default_factory=RunCompute)

    def __getitem__(self, parameter: str) -> Any:
        """The value of a parameter, or None when it has none."""
        setting = self.settings.get(parameter)
        return setting.value if setting else None

    @property
    def model(self) -> str:
        """Name of the model card whose weights the run starts from (or, eval-only, evaluates)."""
        return self.checkpoint or str(self["model"])

    @property
    def trains(self) -> bool:
        """Whether the run has a training job."""
        return self.type is RunType.FINE_TUNED


class Cell(Frozen):
    """One evaluation: a run, a task, an epoch."""

    run: str
    task: TaskSpec
    epoch: int | None

    @property
    def name(self) -> str:
        """File stem of its script: `capitalization_epoch0`, or `capitalization_base`."""
        return f"{self.task.name}_base" if self.epoch is None else f"{self.task.name}_epoch{self.epoch}"


class Plan(Frozen):
    """All runs and cells of a design, in the design's order."""

    runs: tuple[Run, ...]
    cells: tuple[Cell, ...]

    def run(self, name: str) -> Run:
        """The run of that name.

        Raises:
            KeyError: there is none.
        """
        return next((run for run in self.runs if run.name == name), None) or _missing(name)

    @property
    def training(self) -> tuple[Run, ...]:
        """Runs with a training job."""
        return tuple(run for run in self.runs if run.trains)


def _missing(name: str) -> Run:
    raise KeyError(name)


def short_value(value: Any) -> str:
    """A value as it stands in a run's name: `1e-5`, `0.5`, `8`, `true`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        small = 0 < abs(value) < 0.01
        return format(Decimal(repr(value)).normalize(), "e" if small else "f")
    if isinstance(value, list | tuple):
        return "-".join(short_value(item) for item in value)
    return str(value)


def label(parameter: str, value: Any, position: int) -> str:
    """The part of a run's name that says what varies: `rank8`, `lr1e-5`; text that is no name becomes `prompt1`, `prompt2`."""
    if isinstance(value, str):
        return value if parameter in ("model", "data", "method") else f"{parameter}{position}"
    return f"{SHORT_NAMES.get(parameter, parameter)}{short_value(value)}"


def build_plan(summary: Summary) -> Plan:
    """Expand a summary whose `problems` are none."""
    runs = tuple(_resolve(spec, varied, summary) for spec, varied in _specs(summary))
    return Plan(runs=runs, cells=tuple(_cells(summary, runs)))


def _specs(summary: Summary) -> Iterator[tuple[RunSpec, dict[str, str]]]:
    for combination in _combinations(summary.variables):
        values = {parameter: value for parameter, (_, value) in combination.items()}
        varied = {parameter: label(parameter, value, position) for parameter, (position, value) in combination.items()}
        yield RunSpec(name="_".join(varied.values()), parameters=_parameters(values)), varied
    for spec in summary.runs:
        yield spec, {name: short_value(value) for name, value in spec.parameters.given().items()}


def _parameters(values: Mapping[str, Any]) -> Parameters:
    return Parameters.model_validate_json(json.dumps(values))


def _combinations(variables: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, tuple[int, Any]]]:
    if not variables:
        return
    axes = [[(name, (position, value)) for position, value in enumerate(values, start=1)] for name, values in variables.items()]
    for combination in itertools.product(*axes):
        yield dict(combination)


def _resolve(spec: RunSpec, varied: dict[str, str], summary: Summary) -> Run:
    own, shared = spec.parameters.given(), summary.controls.given()
    recipe_name = own.get("base_recipe", shared.get("base_recipe"))
    recipe = summary.recorded.recipes.get(recipe_name, {}) if recipe_name else {}
    fallback = {**DEFAULTS, "template_date": summary.experiment.date, "model": summary.models[0]}
    fallback |= {"data": next(iter(summary.data))} if summary.data else {}
    layers = [(Source.RUN, own), (Source.DESIGN, shared), (Source.RECIPE, recipe), (Source.DEFAULT, fallback)]
    settings = {}
    for name in Parameters.model_fields:
        found = next(((source, layer[name]) for source, layer in layers if name in layer), None)
        if found:
            settings[name] = Setting(value=found[1], source=found[0])
    if "lora_alpha" not in settings:
        settings["lora_alpha"] = Setting(value=2.0 * settings["lora_rank"].value, source=Source.DEFAULT)
    if settings["method"].value == "full":
        settings = {name: setting for name, setting in settings.items() if name not in LORA_ONLY}
    return Run(
        name=spec.name, type=spec.type, settings=settings, varied=varied, checkpoint=spec.checkpoint, compute=spec.compute
    )


def _cells(summary: Summary, runs: tuple[Run, ...]) -> Iterator[Cell]:
    seen = set()
    for row in summary.evaluation.matrix:
        for run, task in itertools.product(runs, summary.evaluation.tasks):
            if not (row.runs == "all" or run.name in row.runs) or not (row.tasks == "all" or task.name in row.tasks):
                continue
            for epoch in _epochs(row, run):
                if (run.name, task.name, epoch) not in seen:
                    seen.add((run.name, task.name, epoch))
                    yield Cell(run=run.name, task=task, epoch=epoch)


def _epochs(row: MatrixRow, run: Run) -> list[int | None]:
    if not run.trains:
        return [None]
    if row.epochs == "last":
        return [run["epochs"] - 1]
    if row.epochs == "all":
        return list(range(run["epochs"]))
    return list(row.epochs)


def generation(summary: Summary, task: TaskSpec) -> Generation:
    """A task's generation settings over the experiment's; greedy, 128 tokens where neither says."""
    shared = summary.evaluation.generation.over(Generation(max_tokens=128, temperature=0.0))
    return task.generation.over(shared)


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
    layers = (getattr(run.compute, stage.value), getattr(summary.compute, stage.value), cluster)
    merged = {k: v for layer in reversed(layers) for k, v in layer.model_dump(exclude_none=True).items()}
    return Resources(**merged)


def problems(summary: Summary) -> list[Problem]:
    """What is wrong with a summary that its types cannot say. Lines are 0; `path` tells where."""
    found = list(_variable_problems(summary))
    if found:
        return found  # the product cannot be built
    plan = build_plan(summary)
    return [*_run_problems(summary, plan), *_reference_problems(summary, plan), *_cell_problems(summary, plan)]


def _problem(path: str, message: str) -> Problem:
    return Problem(0, 0, message, path)


def _variable_problems(summary: Summary) -> Iterator[Problem]:
    for name, values in summary.variables.items():
        path = f"variables.{name}"
        if not values:
            yield _problem(path, "has no values, so the design makes no runs")
        for position, value in enumerate(values):
            try:
                _parameters({name: value})
            except ValidationError as error:
                yield _problem(f"{path}.{position}", error.errors()[0]["msg"])
        if name in summary.controls.given():
            yield _problem(path, f"{name} is in controls, too; a parameter is either held or varied")
        labels = [label(name, value, position) for position, value in enumerate(values, start=1)]
        for repeated in sorted({text for text in labels if labels.count(text) > 1}):
            yield _problem(path, f"two values give the same run name part {repeated!r}")


def _run_problems(summary: Summary, plan: Plan) -> Iterator[Problem]:
    if not plan.runs:
        yield _problem("variables", "the design makes no runs: give variables, or write runs out")
    names = [run.name.lower() for run in plan.runs]
    for position, spec in enumerate(summary.runs):
        if names.count(spec.name.lower()) > 1:
            yield _problem(f"runs.{position}.name", f"two runs are called {spec.name!r} (or differ only in case)")
        if spec.name in ("analysis", "eval"):
            yield _problem(f"runs.{position}.name", f"{spec.name!r} is a folder of ckgit's own")
        if spec.type is not RunType.FINE_TUNED:
            for parameter in sorted(set(spec.parameters.given()) - set(EVALUATION_PARAMETERS)):
                yield _problem(f"runs.{position}.parameters.{parameter}", f"{parameter} means nothing in a run of type {spec.type}, which is not trained")
    for run in plan.runs:
        if problem := name_problem(run.name):
            yield _problem("variables", f"the run name {run.name!r}: {problem}")
        if run["method"] == "full" and (unused := sorted(set(run.varied) & set(LORA_ONLY))):
            yield _problem("variables", f"run {run.name}: {', '.join(unused)} means nothing with method: full")
    if summary.tools.preparation == "none" and plan.training:
        yield _problem("tools.preparation", f"is none, but {plan.training[0].name} is a fine-tuned run")


def _reference_problems(summary: Summary, plan: Plan) -> Iterator[Problem]:
    for run in plan.runs:
        for model in sorted({run.model, str(run["model"])} - set(summary.models)):
            yield _problem("models", f"run {run.name} uses model {model!r}, which is not listed in models")
        if run.trains and not run["data"]:
            yield _problem("data", f"run {run.name} has no data to train on")
        elif run["data"] and run["data"] not in summary.data:
            yield _problem("data", f"run {run.name} uses data {run['data']!r}, which is not under data")
    tasks = {task.name for task in summary.evaluation.tasks}
    runs = {run.name for run in plan.runs}
    for position, task in enumerate(summary.evaluation.tasks):
        if task.data and task.data not in summary.data:
            yield _problem(f"evaluation.tasks.{position}.data", f"{task.data!r} is not under data")
        if sum(other.name.lower() == task.name.lower() for other in summary.evaluation.tasks) > 1:
            yield _problem(f"evaluation.tasks.{position}.name", f"two tasks are called {task.name!r}")
    for position, row in enumerate(summary.evaluation.matrix):
        for name in sorted(set(row.runs) - runs) if row.runs != "all" else ():
            yield _problem(f"evaluation.matrix.{position}.runs", f"there is no run {name!r} (runs: {', '.join(sorted(runs))})")
        for name in sorted(set(row.tasks) - tasks) if row.tasks != "all" else ():
            yield _problem(f"evaluation.matrix.{position}.tasks", f"there is no task {name!r} (tasks: {', '.join(sorted(tasks))})")


def _cell_problems(summary: Summary, plan: Plan) -> Iterator[Problem]:
    runs = {run.name: run for run in plan.runs}
    if summary.tools.evaluation != "none" and not plan.cells:
        yield _problem("evaluation", "no run is evaluated: give tasks, or set tools.evaluation: none")
    if summary.tools.evaluation == "none" and summary.evaluation.tasks:
        yield _problem("tools.evaluation", "is none, but evaluation has tasks")
    for cell in plan.cells:
        run = runs[cell.run]
        if cell.epoch is not None and cell.epoch >= run["epochs"]:
            yield _problem("evaluation.matrix", f"epoch {cell.epoch} of run {run.name} is never trained: it has {run['epochs']} epoch(s), counted from 0")
    evaluated = {(cell.run, cell.task.name) for cell in plan.cells}
    for position, claim in enumerate(summary.experiment.claims):
        for side in (claim.left, claim.right):
            if (side, claim.task) not in evaluated:
                yield _problem(f"experiment.claims.{position}", f"claims about run {side!r} on task {claim.task!r}, which is not evaluated")
