"""A task of the checkout on a few rows, in a process of its own, as an experiment would call it or with its own defaults."""

from __future__ import annotations

import datetime
import json
import posixpath
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.card import ModelCard, card_path
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.model import TaskSpec
from ckgit.experiment.design.plan import Cell, Plan
from ckgit.experiment.outputs.own.tasks import TaskTrial
from ckgit.experiment.worker import Context
from ckgit.formats.listing import in_words, nearest
from ckgit.formats.rows.source import SUFFIX, parse_source
from ckgit.formats.task_source import Signature, task_functions
from ckgit.lab.lab import Lab
from ckgit.lab.models.card_file import parse_card
from ckgit.lab.models.find import find_model
from ckgit.orchestrators.engine.experiment import open_experiment
from ckgit.orchestrators.tasks.listing import tasks_of
from ckgit.workers.inspect_ai.cells import PlannedCell, planned
from ckgit.workers.inspect_ai.run_config import refused_args, task_args
from ckgit.workers.installed import check_installed

_PROGRAM = ("-m", "ckgit.workers.inspect_ai.trial.run")
TRIAL = ".ckgit/trial"  # of the lab, which git ignores
_MOST_TOKENS = 32  # of an answer of a real model, where no experiment says


class TrialOptions(NamedTuple):
    """What is asked for."""

    experiment: str | None = None  # whose settings it is called with
    rows: int = 3
    model: str | None = None  # a model card; a mock answers where it is None
    data: str | None = None  # a data file of the lab, where no experiment says
    args: Mapping[str, Any] = {}  # further arguments of the function; they go before the others


def try_task(lab: Lab, name: str, options: TrialOptions) -> TaskTrial:
    """Run a task of the checkout, committed or not, on its first rows.

    Raises:
        CkgitError: USAGE, there is no such task, or it cannot be called so; TOOL_MISSING, inspect-ai is not installed; and what
            reading the experiment raises.
    """
    check_installed(Cluster(), ("inspect_ai", *(("torch", "transformers") if options.model else ())))
    task = _task(lab, name, options)
    content = (lab.root / task.source).read_bytes()
    signature = _signature(task, content)
    args, generation, sends = _own(task, options), {}, {}
    if options.experiment:
        cell = _cell(lab, options.experiment, task, content)
        args, generation, sends = _called(lab, cell), {"max_tokens": cell.called.generation.max_tokens}, _as_sent(cell)
    args |= options.args
    _refuse_args(task, signature, args)
    asked = {"file": task.source, "function": task.entry, "args": args, "rows": options.rows}
    model = _model(lab, options.model, sends) if options.model else None
    given = {**({"max_tokens": _MOST_TOKENS} if model else {}), **generation}
    return TaskTrial.model_validate_json(_run(lab, {**asked, "generation": given, "model": model}, task))


def _task(lab: Lab, name: str, options: TrialOptions) -> TaskSpec:
    """A task by its name in the experiment, or by that of its function."""
    if options.experiment:
        for task in open_experiment(lab, options.experiment).context.summary.evaluation.tasks:
            if task.name == name and (lab.root / task.source).is_file():
                return task
    found = {task.name: task for task in tasks_of(lab)}
    if name in found:
        return found[name].spec
    spec = TaskSpec.model_construct(name=name)
    if (lab.root / spec.source).is_file():
        return spec  # what is wrong with it is said where it is read
    near = nearest(name, found)
    hint = f"did you mean {near}? ckgit task list shows all tasks" if near else f"ckgit task new {name} writes it"
    raise _refused(f"there is no task {name} (tasks: {in_words(list(found)) or 'none'})", hint)


def _signature(task: TaskSpec, content: bytes) -> Signature:
    """What the task's function takes, as its file in the checkout has it."""
    try:
        functions = task_functions(content)
    except ValueError as error:
        raise _refused(f"it is {error}", f"mend it, then ckgit task check {task.name}", task.source) from None
    if task.entry not in functions:
        named = ", ".join(functions) or "none"
        raise _refused(f"it has no @task function {task.entry} (it has: {named})", "ckgit task list shows all tasks", task.source)
    return functions[task.entry]


def _cell(lab: Lab, experiment: str, task: TaskSpec, content: bytes) -> PlannedCell:
    """The task as the first run of an experiment is asked it, with the file as the checkout has it."""
    context: Context = open_experiment(lab, experiment).context
    run = context.plan.runs[0]
    plan = Plan((run,), (Cell(run.name, task, None),))
    [cell] = planned(context._replace(plan=plan, sources={**context.sources, task.source: content}))
    if refused := list(refused_args(cell)):
        raise _refused(f"{task.entry} in {task.source} does not take {' and '.join(refused)}, which {experiment} gives", "mend the task")
    return cell


def _called(lab: Lab, cell: PlannedCell) -> dict[str, Any]:
    """What an experiment calls it with; data by the full path of where it lies on this machine."""
    args = task_args(cell)
    return {**args, "data": str(_rows_here(lab, cell.context, cell.data_path))} if cell.data_path and "data" in args else args


def _rows_here(lab: Lab, context: Context, path: str) -> Path:
    """What a cell's rows are read from: a file of the checkout, or outside of the lab; or a `.rows` file written for the checkout."""
    if path.endswith(SUFFIX):
        copy = lab.root / TRIAL / posixpath.basename(path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(parse_source(context.sources[path], path).dump(f"{TRIAL}/{copy.name}"))
        return copy
    root = context.cluster.data_root
    return lab.folder(root) / path if root and not (lab.root / path).is_file() else lab.root / path


def _as_sent(cell: PlannedCell) -> dict[str, Any]:
    return {"device": cell.run["device"], "dataset_type": cell.run["dataset_type"], "template_date": str(cell.run["template_date"])}


def _own(task: TaskSpec, options: TrialOptions) -> dict[str, Any]:
    """What is given without an experiment."""
    folder = posixpath.dirname(task.source)
    return {"data": posixpath.relpath(options.data, folder)} if options.data else {}


def _refuse_args(task: TaskSpec, signature: Signature, args: Mapping[str, Any]) -> None:
    if unknown := [each for each in args if not signature.accepts(each)]:
        raise _refused(
            f"{task.entry} in {task.source} has no parameter {' or '.join(unknown)} (it has: {', '.join(signature.parameters) or 'none'})",
            "leave it out, or mend the task",
        )
    if missing := [each for each in signature.required if each not in args]:
        advice = "--data PATH gives it data of the lab, and --arg NAME=VALUE any other argument"
        raise _refused(f"{task.entry} in {task.source} needs {' and '.join(missing)}", advice)


def _model(lab: Lab, name: str, sends: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of our model API for the model of a card."""
    file = lab.root / card_path(name)
    if not file.is_file():
        raise _refused(f"there is no model card {card_path(name)}", "ckgit models list shows them all")
    content = file.read_bytes()
    try:
        card: ModelCard = parse_card(content)
    except ValueError as error:
        raise _refused(f"it is no model card: {error}", f"ckgit models add {name} PATH writes it anew", card_path(name)) from None
    own = {"device": "cpu", "dataset_type": "chat" if card.template else "text_completion", "template_date": str(datetime.date.today())}  # noqa: DTZ011 - the day here
    folder = find_model(lab, lab.cluster(), card, content)
    return {"model_path": str(folder), "dtype": "float32", "do_sample": False, **own, **sends}


def _run(lab: Lab, asked: Mapping[str, Any], task: TaskSpec) -> str:
    done = subprocess.run(
        [sys.executable, *_PROGRAM], input=json.dumps(asked), cwd=lab.root, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    if done.returncode or not done.stdout:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        what = f"the process that ran {task.source} ended with exit code {done.returncode}" + (f": {said[-1]}" if said else "")
        raise CkgitError(what, code=Exit.COMMAND_FAILED, state="nothing was written", next="look at what the task does to its process")
    return done.stdout


def _refused(what: str, advice: str, where: str = "") -> CkgitError:
    return CkgitError(what, code=Exit.USAGE, where=where, state="nothing was run", next=advice)

