"""What makes training impossible, or would silently train something else than was designed."""

from __future__ import annotations

from collections.abc import Iterator

from ckgit.experiment.checks.problems import place_of
from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.names import task_place
from ckgit.experiment.design.parameters import BASE_RECIPE
from ckgit.experiment.design.plan import Run, resources
from ckgit.experiment.worker import Context
from ckgit.formats.problem import Problem
from ckgit.workers.torchtune.design.batches import Division
from ckgit.workers.torchtune.families import refusals
from ckgit.workers.training.check import about, card_problems, data_problems, source_problems
from ckgit.workers.training.design.counted import processes


def check(context: Context) -> list[Problem]:
    """Every problem; empty when there is none."""
    found = [problem for run in context.plan.training for problem in _run_problems(context, run)]
    if context.plan.training and context.cluster.loggers:
        sentence = f"cluster profile {context.cluster_name} has loggers, which torchtune's jobs do not write; name a profile without them"
        found.append(Problem(f"{sentence}, or take them out of ckgit.toml"))
    return list(dict.fromkeys([*found, *data_problems(context, _length_problems), *source_problems(context)]))


def _run_problems(context: Context, run: Run) -> Iterator[Problem]:
    yield from card_problems(context, run)
    if card := context.cards.get(run.model):
        yield from (about(context, run, parameter, sentence) for parameter, sentence in refusals(card, run))
    if processes(context, run) > 1 and run["device"] == "cpu":
        sentence = f"run {run.name}: torchtune's distributed recipes need CUDA; with device: cpu, leave compute.training.gpus out"
        yield Problem(sentence, "compute.training.gpus")
    if (resources(context.summary, run, Stage.TRAINING, context.cluster.training).nodes or 1) > 1:
        sentence = f"run {run.name}: torchtune trains on one node here; leave compute.training.nodes out"
        yield Problem(sentence, "compute.training.nodes")
    yield from _text_problems(context, run)


def _length_problems(context: Context, run: Run, rows: int) -> Iterator[tuple[str, str]]:
    """Runs too short for one step, or for one line of the training log."""
    if run[BASE_RECIPE] not in {None, *context.summary.recorded.recipes}:
        return  # of one that was not looked up, the batch size is not known
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
