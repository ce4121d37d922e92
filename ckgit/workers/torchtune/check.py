"""What makes training impossible, or would silently train something else than was designed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from ckgit.experiment.card import ModelCard, card_path
from ckgit.experiment.checks.problems import place_of
from ckgit.experiment.design.names import task_place
from ckgit.experiment.design.plan import Run
from ckgit.experiment.worker import Context
from ckgit.formats.problem import Problem
from ckgit.formats.rows import no_split
from ckgit.workers.torchtune.families import refusals
from ckgit.workers.torchtune.setup import evaluated
from ckgit.workers.torchtune.steps import planned_steps, processes, steps_per_epoch, train_rows


def check(context: Context) -> list[Problem]:
    """Every problem; empty when there is none."""
    found = [problem for run in context.plan.training for problem in _run_problems(context, run)]
    return list(dict.fromkeys([*found, *_source_problems(context)]))


def _run_problems(context: Context, run: Run) -> Iterator[Problem]:
    card = context.cards.get(run.model)
    if card is None:
        sentence = f"run {run.name}: there is no model card {card_path(run.model)}; make it with: ckgit models add {run.model} PATH"
        yield Problem(sentence, "models")
    else:
        yield from (_about(context, run, parameter, sentence) for parameter, sentence in refusals(card, run))
        yield from _template_problems(context, card, run)
    if processes(context, run) > 1 and run["device"] == "cpu":
        sentence = f"run {run.name}: torchtune's distributed recipes need CUDA; with device: cpu, leave compute.training.gpus out"
        yield Problem(sentence, "compute.training.gpus")
    yield from _data_problems(context, run)
    yield from _text_problems(context, run)


def _about(context: Context, run: Run, parameter: str, sentence: str) -> Problem:
    return Problem(f"{sentence}{run.from_recipe(parameter)}", place_of(context.summary, run, parameter))


def _template_problems(context: Context, card: ModelCard, run: Run) -> Iterator[Problem]:
    if run["dataset_type"] == "chat" and card.template is None:
        sentence = f"run {run.name}: model {card.name} has no chat template; a base model is trained with dataset_type: text_completion"
        yield _about(context, run, "dataset_type", sentence)


def _data_problems(context: Context, run: Run) -> Iterator[Problem]:
    name, data = run["data"], context.summary.data
    paths = {each.path: other for other, each in data.items()}
    used = {data[name].path, *(entry.path for entry in evaluated(context, run))} if name in data else set()
    recorded = {data[other].path for other in context.summary.recorded.data if other in data}
    for path in sorted(used - recorded):
        yield Problem(f"run {run.name}: {path} was not measured by design", f"data.{paths[path]}")
    rows = train_rows(context, run)
    if rows is None:
        splits = context.summary.recorded.data[name].splits if name in context.summary.recorded.data else {}
        yield Problem(no_split(f"run {run.name}: data {name}", run["train_split"], splits), f"data.{name}")
    elif steps_per_epoch(run, rows, processes(context, run)) < 1:
        needed = run["batch_size"] * run["gradient_accumulation_steps"] * processes(context, run)
        yield Problem(
            f"run {run.name}: {rows} rows make no optimizer step, because torchtune drops an incomplete batch; "
            f"one step takes {needed} rows (batch_size x gradient_accumulation_steps x processes)",
            f"data.{name}",
        )
    elif (every := run["log_every_n_steps"]) > (total := planned_steps(context, run) or 0):
        sentence = f"run {run.name}: log_every_n_steps is {every}, but there are {total} steps: the log would hold no loss"
        yield _about(context, run, "log_every_n_steps", sentence)


def _text_problems(context: Context, run: Run) -> Iterator[Problem]:
    """What goes into torchtune's configuration as it is."""
    for name in ("prompt", "system_prompt", "train_split"):
        yield from _replaced(f"run {run.name}: {name}", run[name], place_of(context.summary, run, name))
    if data := context.summary.data.get(run["data"]):
        for name in ("input_column", "output_column"):
            yield from _replaced(f"run {run.name}: {name}", getattr(data, name), f"data.{run['data']}.{name}")
    for number, task in enumerate(context.summary.evaluation.tasks):
        for name in ("prompt", "system_prompt"):
            yield from _replaced(f"task {task.name}: {name}", getattr(task, name), task_place(number, name))


def _replaced(what: str, text: str | None, place: str) -> Iterator[Problem]:
    """`${oc.env:NAME}` would be looked up where the job runs, and `???` stands for what is missing."""
    if text == "???" or "${" in (text or ""):
        holds = "holds '${'" if text != "???" else "is '???'"
        yield Problem(f"{what} {holds}, which torchtune's configuration replaces and cannot hold; write it otherwise", place)


def _source_problems(context: Context) -> Iterator[Problem]:
    """Data files that are not what design measured."""
    for name, recorded in context.summary.recorded.data.items():
        content = context.sources.get(context.summary.data[name].path) if name in context.summary.data else None
        if content is not None and hashlib.sha256(content).hexdigest() != recorded.sha256:
            sentence = f"{context.summary.data[name].path} has changed since the design was made"
            yield Problem(f"{sentence}; run: ckgit revise {context.summary.experiment.name}", f"data.{name}")
