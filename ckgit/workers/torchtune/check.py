"""What makes training impossible, or would silently train something else than was designed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from ckgit.experiment.card import ModelCard
from ckgit.experiment.plan import Run
from ckgit.experiment.worker import Context
from ckgit.workers.torchtune.families import refusals
from ckgit.workers.torchtune.setup import evaluated
from ckgit.workers.torchtune.steps import planned_steps, processes, steps_per_epoch, train_rows


def check(context: Context) -> list[str]:
    """One sentence for each obstacle; empty when there is none."""
    found = [problem for run in context.plan.training for problem in _run_problems(context, run)]
    return list(dict.fromkeys([*found, *_source_problems(context)]))


def _run_problems(context: Context, run: Run) -> Iterator[str]:
    card = context.cards.get(run.model)
    if card is None:
        yield f"run {run.name}: there is no model card models/{run.model}.yaml; make it with: ckgit models add {run.model} PATH"
    else:
        yield from refusals(card, run)
        yield from _template_problems(card, run)
    if processes(context, run) > 1 and run["device"] == "cpu":
        yield f"run {run.name}: torchtune's distributed recipes need CUDA; with device: cpu, leave compute.training.gpus out"
    yield from _data_problems(context, run)
    yield from _text_problems(context, run)


def _template_problems(card: ModelCard, run: Run) -> Iterator[str]:
    if run["dataset_type"] == "chat" and card.template is None:
        yield f"run {run.name}: model {card.name} has no chat template; a base model is trained with dataset_type: text_completion"


def _data_problems(context: Context, run: Run) -> Iterator[str]:
    name = run["data"]
    used = {context.summary.data[name].path, *(entry.path for entry in evaluated(context, run))} if name in context.summary.data else set()
    recorded = {context.summary.data[other].path for other in context.summary.recorded.data if other in context.summary.data}
    yield from (f"run {run.name}: {path} was not measured by design" for path in sorted(used - recorded))
    rows = train_rows(context, run)
    if rows is None:
        splits = context.summary.recorded.data[name].splits if name in context.summary.recorded.data else {}
        yield f"run {run.name}: data {name!r} has no split {run['train_split']!r} (splits: {', '.join(splits) or 'unknown'})"
    elif steps_per_epoch(run, rows, processes(context, run)) < 1:
        needed = run["batch_size"] * run["gradient_accumulation_steps"] * processes(context, run)
        yield (
            f"run {run.name}: {rows} rows make no optimizer step, because torchtune drops an incomplete batch; "
            f"one step takes {needed} rows (batch_size x gradient_accumulation_steps x processes)"
        )
    elif run["log_every_n_steps"] > (total := planned_steps(context, run) or 0):
        yield f"run {run.name}: log_every_n_steps is {run['log_every_n_steps']}, but there are {total} steps: the log would hold no loss"


def _text_problems(context: Context, run: Run) -> Iterator[str]:
    """What goes into torchtune's configuration as it is."""
    texts = {name: run[name] for name in ("prompt", "system_prompt", "train_split")}
    if data := context.summary.data.get(run["data"]):
        texts |= {"input_column": data.input_column, "output_column": data.output_column}
    for name, text in texts.items():
        if "${" in str(text):
            yield f"run {run.name}: {name} holds '${{', which torchtune's configuration replaces and cannot hold; write it otherwise"


def _source_problems(context: Context) -> Iterator[str]:
    """Data files that are not what design measured."""
    for name, recorded in context.summary.recorded.data.items():
        content = context.sources.get(context.summary.data[name].path) if name in context.summary.data else None
        if content is not None and hashlib.sha256(content).hexdigest() != recorded.sha256:
            yield (
                f"{context.summary.data[name].path} has changed since the design was made; "
                f"run: ckgit revise {context.summary.experiment.name}"
            )
