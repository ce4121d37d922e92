"""Which rows a design trains on and evaluates, and how they are asked. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ckgit.experiment.checks.problems import place_of
from ckgit.experiment.design.model import Summary, TaskSpec
from ckgit.experiment.design.plan import Plan, Run, prompts


class RowUse(NamedTuple):
    """Rows of one split, as runs are trained on them or asked them."""

    data: str
    split: str
    task: str | None  # None where they are trained on
    limit: int | None  # only the first so many rows
    model: str
    dataset_type: str
    prompt: str
    system_prompt: str
    max_seq_len: int | None
    packing_length: int | None = None


def uses(summary: Summary, plan: Plan, is_given: Callable[[TaskSpec], bool]) -> dict[RowUse, list[str]]:
    """Every use of rows of the design's data, with the runs that make it.

    Args:
        summary: the design.
        plan: its runs.
        is_given: whether a task takes the design's rows; another one brings its own.
    """
    found: dict[RowUse, list[str]] = {}
    for run in (each for each in plan.training if each["train_split"]):  # a tool without that parameter takes rows in its own way
        texts = (run["prompt"], run["system_prompt"])
        limits = (run["max_seq_len"], run["packing_length"])
        use = RowUse(run["data"], run["train_split"], None, None, run.model, run["dataset_type"], *texts, *limits)
        found.setdefault(use, []).append(run.name)
    given = {task.name for task in summary.evaluation.tasks if is_given(task)}
    for cell in plan.cells:
        run, task = plan.run(cell.run), cell.task
        if task.name in given and (data := task.data or run["data"]):
            use = RowUse(data, task.split, task.name, task.limit, run.model, run["dataset_type"], *prompts(run, task), None)
            names = found.setdefault(use, [])
            names += [] if run.name in names[-1:] else [run.name]
    return found


def prompt_place(summary: Summary, run: Run, task: TaskSpec | None, name: str) -> str:
    """Where a `prompt` or `system_prompt` was written: the task's, otherwise the run's."""
    if task is not None and getattr(task, name) is not None:
        return summary.evaluation.place(task.name, name)
    return place_of(summary, run, name)
