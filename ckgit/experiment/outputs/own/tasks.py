"""Tasks of a lab: `--json` of `ckgit task`."""

from typing import Any

from pydantic import Field

from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.outputs.fields import Advice, Commands, PrintedDocument


class NewTaskDocument(PrintedDocument):
    """A task that was written, or with --dry-run would be."""

    task: str = Field(description="Its name, which is that of its function.")
    template: str
    files: tuple[str, ...] = Field(description="Paths in the lab.")
    in_design: str = Field(description="What a design has among evaluation.tasks to evaluate it.")
    dry_run: bool
    advice: Advice
    next: Commands


class TriedRow(Frozen):
    """A row that a task asked."""

    id: str | int = Field(description="The sample's id.")
    input: str = Field(description="Text of the last message of the user's.")
    target: str = Field(description="What the row says is right.")
    answer: str
    scores: dict[str, Any] = Field(description="By scorer; null where there is none.")


class TriedMetric(Frozen):
    """A number over the rows that were asked."""

    scorer: str
    metric: str
    value: float | None = Field(description="Null where it is undefined.")


class TaskFailure(Frozen):
    """What a task failed with."""

    message: str
    places: tuple[str, ...] = Field(description="Where in the lab's own files, the innermost last.")


class TaskTrial(Frozen):
    """What came of a task on a few rows."""

    samples: int = Field(description="How many rows it has in all; 0 where it failed.")
    rows: tuple[TriedRow, ...]
    metrics: tuple[TriedMetric, ...]
    error: TaskFailure | None = Field(description="Null where it came to its end.")


class TaskCheckDocument(PrintedDocument):
    """What came of trying a task."""

    task: str
    experiment: str | None = Field(description="Whose settings it was called with; null for its own defaults.")
    model: str | None = Field(description="The model card; null for a mock, which answers every second row rightly.")
    trial: TaskTrial
    advice: Advice
    next: Commands


class ListedTask(Frozen):
    """A @task function of the checkout."""

    task: str
    file: str
    parameters: tuple[str, ...]
    committed: bool = Field(description="Whether the default branch has the file as it is in the checkout.")


class TasksDocument(PrintedDocument):
    """The tasks of a lab."""

    tasks: tuple[ListedTask, ...]
