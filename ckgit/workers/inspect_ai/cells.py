"""A cell of the plan: its files, its model, its data and its prompts. Pure."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ckgit.experiment.design.files import files_for, looked_for
from ckgit.experiment.design.model import Generation, RecordedData, TaskSpec
from ckgit.experiment.design.parameters import Product
from ckgit.experiment.design.plan import Cell, Run, generation, prompts
from ckgit.experiment.design.row_files import columns, files_of, paths_of, read_from
from ckgit.experiment.worker import Context
from ckgit.formats.task_source import Signature, task_functions

if TYPE_CHECKING:
    from ckgit.experiment.results import Checkpoint


class TaskCall(NamedTuple):
    """What cells of one task share; thousands of them are rendered at once."""

    signature: Signature
    sha256: str  # of the task file
    files: Mapping[str, str]  # digest of each further file that it needs, by path
    generation: Generation


class PlannedCell(NamedTuple):
    """One evaluation, its run, and the task function it calls."""

    context: Context
    cell: Cell
    run: Run
    called: TaskCall
    data_name: str | None  # data set that the task is given; None when it brings its own data, or the design has none
    prepared: Checkpoint | None = None  # with the prompts that the run's preparation left, where it leaves prompts, once that is known

    @property
    def signature(self) -> Signature:
        """Parameters of the task function."""
        return self.called.signature

    @property
    def task(self) -> TaskSpec:
        """The task as the design has it."""
        return self.cell.task

    @property
    def name(self) -> str:
        """What it is called in what people read."""
        return f"{self.run.name}/eval/{self.cell.name}"

    @property
    def folder(self) -> str:
        """Folder of the run's evaluations, relative to the lab."""
        return f"{self.context.run_folder(self.run.name)}/eval"

    @property
    def script(self) -> str:
        """The script of its job, relative to the lab."""
        return f"{self.folder}/{posixpath.basename(self.cell.job)}.slurm"

    @property
    def config(self) -> str:
        """What `inspect eval --run-config` reads, relative to the lab."""
        return f"{self.folder}/{self.cell.name}.yaml"

    @property
    def log(self) -> str:
        """Log of inspect once it is complete, relative to the lab."""
        return log_of(self.config)

    @property
    def base_folder(self) -> str:
        """Model folder that the run starts from or, eval-only, evaluates."""
        return f"models/{self.run.model}"

    @property
    def checkpoint(self) -> str | None:
        """What the run's preparation is to leave for it, as its manifest names it; None for the model itself."""
        left = self.cell.checkpoint
        return f"{self.context.artifacts(self.run.name)}/{left.folder}" if left else None

    @property
    def manifest(self) -> str:
        """What tells of the checkpoints of its run, in the work tree."""
        from ckgit.experiment.results import MANIFEST

        return f"{self.context.artifacts(self.run.name)}/{MANIFEST}"

    @property
    def has_own_weights(self) -> bool:
        """Whether the weights are those that the run's preparation made; otherwise they are the model card's."""
        return self.cell.checkpoint is not None and self.run.product is Product.WEIGHTS

    @property
    def is_adapter(self) -> bool:
        """Whether the run's own weights are an adapter's, and those of the model card are loaded with them."""
        return self.cell.checkpoint is not None and self.cell.checkpoint.adapter

    @property
    def is_quantized(self) -> bool:
        """Whether the model card's weights are quantized beside it, as in training."""
        return self.cell.checkpoint is not None and self.cell.checkpoint.quantized

    @property
    def compared_before(self) -> bool:
        """Whether the run's training compared the rows that are asked here, as they are asked: a kept one may not know of this task."""
        kept = self.context.kept.get(self.run.job)
        return kept is None or self.task.name in kept.tasks

    @property
    def prepared_prompts(self) -> tuple[str, ...]:
        """Which of its prompts the run's preparation leaves; one that the task has of its own stays."""
        if self.cell.checkpoint is None or self.run.product is not Product.PROMPT:
            return ()
        return tuple(name for name in ("prompt", "system_prompt") if getattr(self.task, name) is None)

    @property
    def prompts(self) -> tuple[str, str]:
        """Its prompt and system prompt, as far as they are known."""
        planned = dict(zip(("prompt", "system_prompt"), prompts(self.run, self.task), strict=True))
        left = {name: value for name in self.prepared_prompts if self.prepared and (value := getattr(self.prepared, name)) is not None}
        both = {**planned, **left}
        return both["prompt"], both["system_prompt"]

    @property
    def model_folder(self) -> str:
        """Model folder that is evaluated."""
        return self.checkpoint if self.checkpoint and self.has_own_weights else self.base_folder

    @property
    def model_name(self) -> str:
        """How inspect and its logs call the model."""
        return f"ckgit/{self.run.name}" + (f"_{self.cell.of}" if self.cell.checkpoint else "")

    @property
    def recorded(self) -> RecordedData | None:
        """What design measured of `data_name`."""
        return self.context.summary.recorded.data.get(self.data_name) if self.data_name else None

    @property
    def data_path(self) -> str | None:
        """What that data set is read from: its file, or the `.rows` file that tells of several."""
        return read_from(self.context.summary, self.data_name) if self.data_name else None

    @property
    def columns(self) -> Mapping[str, str]:
        """`input_column` and `output_column` of that file; empty without data."""
        return columns(self.context.summary, self.data_name) if self.data_name else {}

    @property
    def data_files(self) -> Mapping[str, str]:
        """SHA-256 of every file that its rows are read from, by path; empty where they were not measured."""
        return files_of(self.context.summary, self.data_name) if self.data_name and self.recorded else {}

    @property
    def expected_samples(self) -> int | None:
        """How many samples there must be; None where only the task itself can tell."""
        rows = self.recorded.splits.get(self.task.split) if self.recorded else None
        return rows if rows is None or self.task.limit is None else min(rows, self.task.limit)


def log_of(config: str) -> str:
    """Where the log of a cell is once it is complete, beside the cell's run config."""
    return f"{posixpath.dirname(config)}/logs/{posixpath.basename(config).removesuffix('.yaml')}.eval"


def attempts_of(config: str) -> str:
    """Folder that inspect writes a cell's logs to; it names them by time."""
    return f"{log_of(config).removesuffix('.eval')}.attempts"


def by_job(context: Context, run: str | None = None) -> dict[str, list[PlannedCell]]:
    """Every cell, or those of one run, by the job that makes it, in the plan's order.

    Raises:
        ValueError: see `planned`.
    """
    found: dict[str, list[PlannedCell]] = {}
    for cell in planned(context, run):
        found.setdefault(cell.cell.job, []).append(cell)
    return found


def planned(context: Context, run: str | None = None) -> Iterator[PlannedCell]:
    """Every cell, or those of one run, in the plan's order.

    Raises:
        ValueError: a task file is missing, is not Python, or has no such task; `check` says it in words.
    """
    called: dict[str, TaskCall] = {}
    for cell in context.plan.cells if run is None else context.plan.cells_of(run):
        task = cell.task
        if task.name not in called:
            found = signature(context, task)
            digest = hashlib.sha256(context.sources[task.source]).hexdigest()
            called[task.name] = TaskCall(found, digest, _further(context, task), generation(context.summary, task))
        of = context.plan.run(cell.run)
        data = (task.data or of["data"] or None) if called[task.name].signature.accepts("data") else None
        yield PlannedCell(context, cell, of, called[task.name], data)


def _further(context: Context, task: TaskSpec) -> Mapping[str, str]:
    """SHA-256 of every file that the task reads by itself, by path: also of those that are data sets of the design."""
    summary, recorded = context.summary, context.summary.recorded
    opened = frozenset(looked_for(summary, task, context.sources))
    measured = [name for name in summary.data if name in recorded.data]
    read = (files_of(summary, name) for name in measured if opened.intersection(paths_of(summary, name)))
    own = {path: recorded.files[path] for path in files_for(summary, task, context.sources) if path in recorded.files}
    return {**own, **{path: digest for each in read for path, digest in each.items()}}


def signature(context: Context, task: TaskSpec) -> Signature:
    """The task function's parameters, read from the file's text.

    Raises:
        ValueError: the file is missing or is not Python, or has no such task.
    """
    source = context.sources.get(task.source)
    if source is None:
        raise ValueError(f"task {task.name}: there is no file {task.source}; write it, or name another one with file:")
    try:
        functions = task_functions(source)
    except ValueError as error:
        raise ValueError(f"task {task.name}: {task.source} is {error}") from None
    if task.entry not in functions:
        known = ", ".join(functions) or "none"
        raise ValueError(f"task {task.name}: {task.source} has no @task function {task.entry!r} (it has: {known})")
    return functions[task.entry]
