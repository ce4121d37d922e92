"""The runs and cells of a design, with every value resolved."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from ckgit.experiment.design.fields import laid_over
from ckgit.experiment.design.model import (
    Generation,
    Resources,
    RunCompute,
    RunType,
    Scorer,
    Stage,
    Summary,
    TaskSpec,
)
from ckgit.experiment.design.parameters import BASE_RECIPE, PlannedCheckpoint, Product

GREEDY = Generation.model_construct(max_tokens=128, temperature=0.0)  # where a design does not say how answers are generated


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


def generation(summary: Summary, task: TaskSpec) -> Generation:
    """A task's generation settings over the experiment's; greedy, 128 tokens where neither says."""
    return laid_over(task.generation, summary.evaluation.generation, GREEDY)


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
