"""What makes training impossible, or would silently train something else than was designed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from ckgit.experiment.card import ModelCard, card_path
from ckgit.experiment.checks.problems import place_of
from ckgit.experiment.checks.remarks import of_runs
from ckgit.experiment.design.names import task_place
from ckgit.experiment.design.parameters import BASE_RECIPE
from ckgit.experiment.design.plan import Run
from ckgit.experiment.worker import Context
from ckgit.formats.problem import Problem
from ckgit.workers.torchtune.design.batches import Division
from ckgit.workers.torchtune.design.steps import processes, train_rows
from ckgit.workers.torchtune.families import refusals
from ckgit.workers.torchtune.setup import evaluated


def check(context: Context) -> list[Problem]:
    """Every problem; empty when there is none."""
    found = [problem for run in context.plan.training for problem in _run_problems(context, run)]
    return list(dict.fromkeys([*found, *_data_problems(context), *_source_problems(context)]))


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
    yield from _text_problems(context, run)


def _about(context: Context, run: Run, parameter: str, sentence: str) -> Problem:
    return Problem(f"{sentence}{run.from_recipe(parameter)}", place_of(context.summary, run, parameter))


def _template_problems(context: Context, card: ModelCard, run: Run) -> Iterator[Problem]:
    if run["dataset_type"] == "chat" and card.template is None:
        sentence = f"run {run.name}: model {card.name} has no chat template; a base model is trained with dataset_type: text_completion"
        yield _about(context, run, "dataset_type", sentence)


def _data_problems(context: Context) -> Iterator[Problem]:
    """What makes a training on its rows impossible, once for all runs that it is alike for."""
    concerned: dict[tuple[str, str], list[str]] = {}
    for run in context.plan.training:
        for place, text in _row_problems(context, run):
            concerned.setdefault((place, text), []).append(run.name)
    yield from (Problem(f"{of_runs(names)}: {text}", place) for (place, text), names in concerned.items())


def _row_problems(context: Context, run: Run) -> Iterator[tuple[str, str]]:
    name, data, measured = run["data"], context.summary.data, context.summary.recorded
    paths = {each.path: other for other, each in data.items()}
    used = {data[name].path, *(entry.path for entry in evaluated(context, run))} if name in data else set()
    for path in sorted(used - {data[other].path for other in measured.data if other in data}):
        yield f"data.{paths[path]}", f"{path} was not measured by design"
    if name not in measured.data:
        return
    rows, split, place = train_rows(context, run), run["train_split"], f"data.{name}"
    if rows is None:
        yield place, f"there is no split {split} to train on (splits: {', '.join(measured.data[name].splits)})"
    elif run[BASE_RECIPE] in {None, *measured.recipes}:  # of one that was not looked up, the batch size is not known
        yield from _length_problems(context, run, rows)


def _length_problems(context: Context, run: Run, rows: int) -> Iterator[tuple[str, str]]:
    """Runs too short for one step, or for one line of the training log."""
    divided, interval = Division.of(run, rows, processes(context, run)), run["log_every_n_steps"]
    if not divided.total:
        text = f"{rows} rows in split {run['train_split']} make no step, which takes {divided.effective}"
        factors = "batch_size x gradient_accumulation_steps x processes"
        recipe = run.from_recipe("batch_size", "gradient_accumulation_steps")
        yield f"data.{run['data']}", f"{text} ({factors}); an incomplete batch is dropped{recipe}"
    elif interval > divided.total:
        text = f"log_every_n_steps is {interval}, but training takes {divided.total} steps: its log would hold no loss"
        yield place_of(context.summary, run, "log_every_n_steps"), f"{text}{run.from_recipe('log_every_n_steps')}"


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
