"""The interview of `ckgit design`: every question has a default, and nothing is written before the answers were seen as a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from ckgit.cli.common import note, warn
from ckgit.cli.streams import say
from ckgit.errors import CkgitError, DesignError, Exit
from ckgit.experiment.checks.messages import unknown_key
from ckgit.experiment.checks.problems import value_problems
from ckgit.experiment.design.model import RunType, TaskSpec
from ckgit.experiment.tools.by_tool import DEFAULT_TOOL, parameters_of
from ckgit.formats.rows import PLACEHOLDER
from ckgit.formats.yaml.document import read_yaml
from ckgit.formats.yaml.edit import ValueChange
from ckgit.formats.yaml.text import write_yaml
from ckgit.lab.lab import Lab
from ckgit.orchestrators.design.choices import LabChoices, offers
from ckgit.orchestrators.design.draft import Draft, draft_new, refuse_existing, totals
from ckgit.orchestrators.design.tables import runs_block

Ask = Callable[..., Any]


def interview(lab: Lab, name: str, changes: Sequence[ValueChange]) -> Draft:
    """Ask for a design until it has no problems and its plan is agreed to.

    Raises:
        CkgitError: the lab has nothing to design with, or the experiment exists.
        click.Abort: the user ended it.
    """
    refuse_existing(lab, name)
    found = offers(lab)
    if not found.models:
        raise CkgitError("the lab has no model card", code=Exit.USAGE, state="nothing was written", next="ckgit models add NAME FOLDER")
    if not found.data:
        raise CkgitError(
            "there is no data file in data/", code=Exit.USAGE, state="nothing was written", next="add one, commit it, or use --from FILE"
        )
    gpus = lab.cluster().training.gpus
    while True:
        answers = _answers(found, on_gpu=bool(gpus))
        try:
            draft = draft_new(lab, name, write_yaml(answers).encode(), "your answers", changes)
        except DesignError as error:
            for problem in error.problems:
                note(f"{problem.path}: {problem.message}")
            note("Let us go through it again.\n")
            continue
        say(f"\n{runs_block(draft.forecast)}\n\n{totals(draft)}")
        warn(draft.warnings)
        if click.confirm(f"Commit this as exp/{name}?", default=True):
            return draft
        note("Let us go through it again; Ctrl-C ends it.\n")


def _answers(found: LabChoices, *, on_gpu: bool) -> dict[str, Any]:
    question = click.prompt("What is the question?", default="Does fine-tuning improve on the base model?")
    model = click.prompt("Which model?", type=click.Choice(found.models), default=found.models[0])
    bare = {"dataset_type": "text_completion"} if model in found.bare else {}
    if bare:
        note(f"{model} has no chat template, so rows are plain text: dataset_type is text_completion.")
    path = click.prompt("Which data?", type=click.Choice(found.data), default=found.data[0])
    prompt = click.prompt("What is the model asked? {input} is a row's input", default=PLACEHOLDER, value_proc=_prompt)
    varied = click.prompt("Which parameter varies?", default="lora_rank", value_proc=_parameter)
    values = click.prompt("Over which values?", default=_DEFAULT_VALUES.get(varied, "1, 2"), value_proc=lambda text: _values(varied, text))
    epochs = 0 if varied == "epochs" else click.prompt("How many epochs?", type=click.IntRange(min=1), default=1)
    device = click.prompt("On which device?", type=click.Choice(["cpu", "cuda"]), default="cuda" if on_gpu else "cpu")
    tasks = _tasks(found.tasks)
    control = bool(tasks) and click.confirm("Evaluate the base model, too?", default=True)
    controls: dict[str, Any] = {"prompt": prompt, "device": device, "dtype": "fp32" if device == "cpu" else "bf16"}
    controls |= bare | ({"epochs": epochs} if epochs else {})
    return {
        "experiment": {"question": question},
        "tools": {"evaluation": "inspect-ai" if tasks else "none"},
        "models": [model],
        "data": {"rows": {"path": path}},
        "controls": {key: value for key, value in controls.items() if key != varied},
        "variables": {varied: values},
        "runs": [{"name": "base", "type": str(RunType.CONTROL)}] if control else [],
        "evaluation": {"tasks": [task.model_dump(exclude_defaults=True) for task in tasks]},
    }


_DEFAULT_VALUES = {"lora_rank": "4, 8", "lr": "1e-4, 3e-4", "epochs": "1, 2", "batch_size": "4, 8", "seed": "0, 1, 2"}


def _parameter(text: str) -> str:
    known = parameters_of(DEFAULT_TOOL)
    if text in known.model_fields:
        return text
    raise click.UsageError(unknown_key(text, known.model_fields, known))


def _prompt(text: str) -> str:
    if wrong := list(value_problems(parameters_of(DEFAULT_TOOL), "prompt", [text])):
        raise click.UsageError(wrong[0].message)
    return text


def _values(parameter: str, text: str) -> list[Any]:
    document = read_yaml(f"[{text.strip().removeprefix('[').removesuffix(']')}]")
    if document.problems or not document.value:
        raise click.UsageError(document.problems[0].message if document.problems else "give at least one value")
    if wrong := list(value_problems(parameters_of(DEFAULT_TOOL), parameter, document.value)):
        raise click.UsageError(wrong[0].message)
    return list(document.value)


def _tasks(offered: Sequence[TaskSpec]) -> list[TaskSpec]:
    known = {task.name: task for task in offered}

    def chosen(text: str) -> list[TaskSpec]:
        names = [part.strip() for part in text.split(",") if part.strip() not in ("", "none")]
        if missing := [part for part in names if part not in known]:
            raise click.UsageError(f"there is no task {missing[0]} (tasks: {', '.join(known) or 'none'})")
        return [known[part] for part in names]

    first = next(iter(known), "none")
    return list(click.prompt(f"Which tasks? ({', '.join([*known, 'none'])})", default=first, value_proc=chosen))
