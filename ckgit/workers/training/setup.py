"""`setup_finetune.yaml`: each of a run's parameters with where its value came from, and the rows that evaluation will use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ckgit.experiment.design.plan import Run, Setting, Source, prompts
from ckgit.experiment.design.row_files import columns, read_from
from ckgit.experiment.worker import Context
from ckgit.formats.yaml.document import read_yaml
from ckgit.formats.yaml.text import comment, scalar
from ckgit.workers.training.design.counted import processes, train_rows

FINISHED = "finished.json"  # in a run's artifacts/
RECORDED = f"record: {FINISHED}"  # the line by which a run's files say that its job writes that
_SOURCES = {
    Source.RETRY: "ckgit retry, which keeps what an optimizer step sees",
    Source.RUN: "the run's own",
    Source.DESIGN: "controls of the design",
    Source.RECIPE: "base_recipe",
    Source.DEFAULT: "ckgit's default",
}


class EvaluatedRows(NamedTuple):
    """Rows that a task of this run evaluates, and the prompts they are asked with."""

    task: str
    path: str
    split: str
    limit: int | None
    input_column: str
    output_column: str
    prompt: str
    system_prompt: str


def setup_yaml(context: Context, run: Run, *, order: Sequence[str], steps: int | None) -> bytes:
    """The bytes of a run's setup file.

    Args:
        order: names of parameters; of all that the run has, which stand in this order.
        steps: of the optimizer, as far as they are known.
    """
    used = {setting.source for setting in run.settings.values()}
    lines = [
        f"# The parameters of run {run.name} of experiment {context.summary.experiment.name}, each with where its value came from:",
        *(f"#   {source}: {meaning}" for source, meaning in _SOURCES.items() if source in used or source is not Source.RETRY),
        f"# {comment(context.summary.experiment.question)}",
        f"run: {scalar(run.name)}",
        f"model: {scalar(run.model)}",
        f"design: {scalar(context.summary.digest)}",
        f"ckgit: {scalar(context.version)}",
        *_parameters(run, order),
        "# From the rows that design counted.",
        f"train_rows: {scalar(train_rows(context, run))}",
        f"processes: {processes(context, run)}",
        f"steps: {scalar(steps)}",
        "# In artifacts/: the digests of what the job left, by which it is known again.",
        RECORDED,
        *_evaluated(context, run),
    ]
    return ("\n".join(lines) + "\n").encode()


def _parameters(run: Run, order: Sequence[str]) -> Iterator[str]:
    width = max(map(len, run.settings))
    last = [name for name, setting in run.settings.items() if name == "lora_alpha" and setting.source is Source.DEFAULT]
    yield "parameters:"
    for name in [*sorted((name for name in run.settings if name not in last), key=order.index), *last]:
        setting = run.settings[name]
        value = _plain(setting.value)
        yield f"  {name}:{' ' * (width - len(name))} {{source: {setting.source}, value: {scalar(value)}}}"


def read_setup(content: bytes) -> dict[str, Setting] | None:
    """The parameters of a setup file, of whichever ckgit; None where it cannot be read."""
    found = read_yaml(content.decode(errors="replace"))
    named = found.value.get("parameters") if not found.problems and isinstance(found.value, Mapping) else None
    try:
        return {name: Setting(each["value"], Source(each["source"])) for name, each in named.items()} if named else None
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str | list | tuple) else str(value)


def evaluated(context: Context, run: Run) -> list[EvaluatedRows]:
    """One entry for each task that this run is evaluated on, in the design's order."""
    tasks = {cell.task.name: cell.task for cell in context.plan.cells_of(run.name)}
    entries = []
    for task in tasks.values():
        name = task.data or run["data"]
        if name in context.summary.data:
            prompt, system_prompt = prompts(run, task)
            used = columns(context.summary, name)
            path = read_from(context.summary, name)
            entries.append(EvaluatedRows(task.name, path, task.split, task.limit, **used, prompt=prompt, system_prompt=system_prompt))
    return entries


def _evaluated(context: Context, run: Run) -> Iterator[str]:
    entries = evaluated(context, run)
    yield "# Before training, the tokens of these rows are compared with those of training."
    yield "evaluated_rows:" if entries else "evaluated_rows: []"
    for entry in entries:
        for position, (name, value) in enumerate(entry._asdict().items()):
            yield f"  {'- ' if position == 0 else '  '}{name}: {scalar(value)}"
