"""What is wrong with a design that the types of its parts cannot say. Pure.

Each problem's `path` tells its place in the front matter; lines are 0, for whoever knows the file to fill in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from ckgit.experiment.checks.claims import claim_problems
from ckgit.experiment.checks.messages import findings
from ckgit.experiment.checks.run_names import instead_of_run
from ckgit.experiment.design.expand import build_plan, label, size, typed
from ckgit.experiment.design.model import NONE, RunSpec, RunType, Stage, Summary
from ckgit.experiment.design.names import name_problem, task_place
from ckgit.experiment.design.parameters import BASE_RECIPE, BEST, EVALUATION_PARAMETERS, Parameters, nested
from ckgit.experiment.design.plan import Plan, Run
from ckgit.formats.listing import in_words, nearest
from ckgit.formats.numbers import short_value
from ckgit.formats.problem import Problem

MOST_RUNS = 10_000
# An experiment's folder holds these beside its runs' folders.
RESERVED = ("analysis", "eval", "jobs.json", "defaults.json", "cluster.json", "kept.json", "estimate.json", "data", "experiment_summary.md")
TRAINED_ROWS = "train"  # the entry of a run's tokens.json beside those of its tasks
# What the design says elsewhere of a task is not said again in its args.
TASK_KEYS = ("data", "split", "prompt", "system_prompt", "scorers", "limit")


def problems(summary: Summary) -> list[Problem]:
    """Everything that contradicts itself, or names what is not there. Without sound variables, nothing else can be judged."""
    found = [*_recipe_problems(summary), *_variable_problems(summary)]
    if found:
        return found
    plan = build_plan(summary)
    checks = (_name_problems, _run_problems, _reference_problems, _cell_problems)
    return [*_listed_name_problems(summary), *(problem for check in checks for problem in check(summary, plan))]


def unrecorded(summary: Summary, plan: Plan) -> list[str]:
    """What a plan needs and `recorded` lacks, in words; empty for a summary that design has measured.

    A summary that was changed by hand after it was designed may name data or models that were never measured.
    """
    recorded = summary.recorded
    recipes = {run[BASE_RECIPE] for run in plan.training} - {None, *recorded.recipes}
    return [
        *(f"data {name}" for name in summary.data if name not in recorded.data),
        *(f"model {name}" for name in summary.models if name not in recorded.models),
        *(f"task file {task.source}" for task in summary.evaluation.tasks if task.source not in recorded.tasks),
        *(f"base recipe {name}" for name in sorted(recipes)),
    ]


def _problem(path: str, message: str) -> Problem:
    return Problem(message, path)


def _repeated(names: Iterable[str]) -> set[str]:
    """Names that occur twice, in lower case: some file systems do not tell case."""
    return {name for name, count in Counter(name.lower() for name in names).items() if count > 1}


def _recipe_problems(summary: Summary) -> Iterator[Problem]:
    """Recorded values that were changed by hand, or that another version of the tool has recorded."""
    for name, values in summary.recorded.recipes.items():
        try:
            typed(summary.parameters, values)
        except ValidationError as error:
            for place, message in findings(error, summary.parameters, values):
                yield _problem(".".join(["recorded.recipes", name, *map(str, place)]), message)


def _variable_problems(summary: Summary) -> Iterator[Problem]:
    for name, values in summary.variables.items():
        path = f"variables.{name}"
        if not values:
            yield _problem(path, f"{name} has no values, so the design makes no runs")
        yield from value_problems(summary.parameters, name, values)
        if name in summary.controls.given():
            yield _problem(path, f"{name} is in controls, too; a parameter is either held or varied")
        labels = [label(summary.parameters, name, value, position) for position, value in enumerate(values, start=1)]
        for repeated in sorted(_repeated(labels)):
            yield _problem(path, f"two values give the same part of a run's name, {repeated}")
    if size(summary.variables) > MOST_RUNS:
        yield _problem("variables", f"the variables make {size(summary.variables):,} runs; an experiment has at most {MOST_RUNS:,}")


def value_problems(parameters: type[Parameters], name: str, values: Iterable[Any]) -> Iterator[Problem]:
    """What is wrong with the values of one variable."""
    known = name in parameters.names()
    if inside := [each for each in parameters.names() if each.startswith(f"{name}.")]:
        yield _problem(f"variables.{name}", f"{name} holds several parameters; vary one of them by its whole name, e.g. {inside[0]}")
        return
    for position, value in enumerate(values):
        if value is None:
            yield _problem(f"variables.{name}.{position}", "null is no value to compare")
            continue
        document = nested({name: value})
        try:
            typed(parameters, document)
        except ValidationError as error:
            for place, message in findings(error, parameters, document):
                at = f"variables.{name}.{position}" if known else f"variables.{name}"
                yield _problem(".".join([at, *map(str, place[len(name.split(".")) :])]), message)
            if not known:
                return  # one message for the key, not one for each value


def _name_problems(summary: Summary, plan: Plan) -> Iterator[Problem]:
    if not plan.runs:
        yield _problem("variables" if summary.variables else "", "the design makes no runs: give variables, or write runs out")
    written = {spec.name: f"runs.{position}.name" for position, spec in enumerate(summary.runs)}
    repeated = _repeated(run.name for run in plan.runs)
    for name in dict.fromkeys(run.name for run in plan.runs):
        path = written.get(name, "variables")
        if problem := name_problem(name):
            yield _problem(path, f"the run name {name}: {problem}")
            return  # the other runs of the same variables have the same fault
        if name.lower() in repeated:
            yield _problem(path, f"two runs are called {name} (or differ only in case)")
        if name.lower() in RESERVED or name.lower().endswith(".log"):
            yield _problem(path, f"a run cannot be called {name}: ckgit's own files have that name")


def _listed_name_problems(summary: Summary) -> Iterator[Problem]:
    repeated = _repeated(task.name for task in summary.evaluation.tasks)
    for position, task in enumerate(summary.evaluation.tasks):
        place, name = task_place(position, "name"), task.name
        if name.lower() == TRAINED_ROWS:
            yield _problem(place, f"a task cannot be called {name}: the rows that were trained have that name in tokens.json")
        if name.lower() in repeated:
            yield _problem(place, f"two tasks are called {name} (or differ only in case)")
    for position, model in enumerate(summary.models):
        if model.lower() in _repeated(summary.models):
            yield _problem(f"models.{position}", f"the model {model} is here twice (or they differ only in case)")


def _run_problems(summary: Summary, plan: Plan) -> Iterator[Problem]:
    for position, spec in enumerate(summary.runs):
        path = f"runs.{position}"
        yield from _written_run_problems(path, spec)
        yield from _unused_problems(f"{path}.parameters", plan.runs[position - len(summary.runs)], spec.parameters)
    products = plan.runs[: len(plan.runs) - len(summary.runs)]
    unused = {name: (run, cause) for run in products for name, cause in unused_of(summary, run).items() if name in run.varied}
    for name, (run, cause) in sorted(unused.items()):
        yield _problem(f"variables.{name}", f"{name} means nothing in a run {_beside(run, cause)}")
    if plan.training:
        everywhere = set.intersection(*(set(unused_of(summary, run)) for run in plan.training))
        found = _unused_problems("controls", plan.training[0], summary.controls)
        yield from (problem for problem in found if problem.path.partition(".")[2] in everywhere)
    if summary.tools.preparation == NONE and plan.training:
        yield _problem("tools.preparation", f"tools.preparation is none, but {plan.training[0].name} is a fine-tuned run")
    yield from _gpu_problems(summary, plan)


def _written_run_problems(path: str, spec: RunSpec) -> Iterator[Problem]:
    if spec.type is RunType.FINE_TUNED:
        return
    for parameter in sorted(set(spec.parameters.given()) - set(EVALUATION_PARAMETERS)):
        yield _problem(f"{path}.parameters.{parameter}", f"{parameter} means nothing in a run of type {spec.type}, which is not trained")
    if spec.compute.training.model_dump(exclude_none=True):
        yield _problem(f"{path}.compute.training", f"a run of type {spec.type} is not trained")
    if spec.type is RunType.EVAL_ONLY and spec.parameters.model:
        yield _problem(f"{path}.parameters.model", "an eval-only run evaluates its checkpoint; remove the model")


def unused_of(summary: Summary, run: Run) -> Mapping[str, str]:
    """Parameters that mean nothing in a run, each with the parameter by which it is so."""
    return summary.parameters.unused({name: setting.value for name, setting in run.settings.items()})


def _unused_problems(place: str, run: Run, parameters: Parameters) -> Iterator[Problem]:
    unused = parameters.unused({name: setting.value for name, setting in run.settings.items()})
    for name in parameters.given():
        if cause := unused.get(name):
            yield _problem(f"{place}.{name}", f"{name} means nothing {_beside(run, cause)}")


def _beside(run: Run, cause: str) -> str:
    return f"without {cause}" if run[cause] is None else f"with {cause}: {short_value(run[cause])}{run.from_recipe(cause)}"


def _gpu_problems(summary: Summary, plan: Plan) -> Iterator[Problem]:
    """More than one GPU on a device that has none."""
    own_gpus = [(position, spec) for position, spec in enumerate(summary.runs) if spec.compute.training.gpus]
    written = {spec.name: f"runs.{position}.compute.training.gpus" for position, spec in own_gpus}
    found = {}
    for run in plan.training:
        own = getattr(run.compute, Stage.TRAINING.value).gpus
        gpus = own if own is not None else summary.compute.training.gpus
        if gpus and gpus > 1 and run["device"] == "cpu":
            found[written.get(run.name, "compute.training.gpus")] = f"{gpus} GPUs, but run {run.name} trains on device: cpu"
    yield from (_problem(path, message) for path, message in found.items())


def _reference_problems(summary: Summary, plan: Plan) -> Iterator[Problem]:
    found: dict[tuple[str, str], None] = {}
    for run in plan.runs:
        for parameter, used, known in (
            ("checkpoint" if run.checkpoint else "model", run.model, summary.models),
            ("data", run["data"], summary.data),
        ):
            if used is None and run.trains:
                found["data", f"run {run.name} has no data to train on"] = None
            elif used is not None and used not in known:
                where = "models" if parameter != "data" else "data"
                found[place_of(summary, run, parameter), f"{used} is not under {where}{_instead(used, known)}"] = None
    for position, task in enumerate(summary.evaluation.tasks):
        if task.data and task.data not in summary.data:
            found[task_place(position, "data"), f"{task.data} is not under data{_instead(task.data, summary.data)}"] = None
        for name in sorted(set(task.args) & set(TASK_KEYS)):
            found[task_place(position, "args", name), f"{name} is a key of the task itself; give it there"] = None
    yield from (_problem(*item) for item in found)


def place_of(summary: Summary, run: Run, parameter: str) -> str:
    """Where a run's value of a parameter was written; of one that a base recipe gives, where the recipe is named."""
    parameter = BASE_RECIPE if run.from_recipe(parameter) else parameter
    position = next((position for position, spec in enumerate(summary.runs) if spec.name == run.name), None)
    if position is None and parameter in summary.variables:
        values = [short_value(value) for value in summary.variables[parameter]]
        return f"variables.{parameter}.{values.index(run.varied[parameter])}"
    if parameter == "checkpoint":
        return f"runs.{position}.checkpoint"
    if position is not None and parameter in summary.runs[position].parameters.given():
        return f"runs.{position}.parameters.{parameter}"
    return f"controls.{parameter}"


def _instead(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = nearest(name, names)
    return f"; did you mean {near}?" if near else f" ({in_words(names, 8)})" if names else ""


def _cell_problems(summary: Summary, plan: Plan) -> Iterator[Problem]:
    if summary.tools.evaluation == NONE:
        if summary.evaluation.tasks:
            yield _problem("tools.evaluation", "tools.evaluation is none, but evaluation has tasks")
        elif summary.experiment.claims:
            yield _problem("experiment.claims", "nothing is evaluated (tools.evaluation is none), so no claim can be judged")
        if not plan.training and plan.runs:
            yield _problem("tools.evaluation", "tools.evaluation is none, and no run is trained: there is nothing to do")
        return
    if not summary.evaluation.tasks:
        yield _problem("evaluation", "no run is evaluated: give tasks, or set tools.evaluation: none")
        return
    yield from _matrix_problems(summary, plan)
    evaluated = {cell.run for cell in plan.cells}
    for position, spec in enumerate(summary.runs):
        if spec.type is not RunType.FINE_TUNED and spec.name not in evaluated:
            yield _problem(f"runs.{position}.name", f"run {spec.name} is neither trained nor evaluated; add it to evaluation.matrix")
    yield from claim_problems(summary, plan)


def _matrix_problems(summary: Summary, plan: Plan) -> Iterator[Problem]:
    runs = {run.name: run for run in plan.runs}
    tasks = [task.name for task in summary.evaluation.tasks]
    for position, row in enumerate(summary.evaluation.matrix):
        path = f"evaluation.matrix.{position}"
        for item, name in enumerate(row.runs if row.runs != "all" else ()):
            if name not in runs:
                yield _problem(f"{path}.runs.{item}", f"there is no run {name}{instead_of_run(name, runs)}")
        for item, name in enumerate(row.tasks if row.tasks != "all" else ()):
            if name not in tasks:
                yield _problem(f"{path}.tasks.{item}", f"there is no task {name}{_instead(name, tasks)}")
        chosen = [run for run in plan.training if row.runs == "all" or run.name in set(row.runs)]
        for item, epoch in enumerate(row.epochs if not isinstance(row.epochs, str) else ()):
            if short := next((run for run in chosen if epoch not in {each.epoch for each in run.checkpoints}), None):
                yield _problem(f"{path}.epochs.{item}", _no_epoch(short, epoch))
        without = [run.name for run in chosen if BEST not in {each.name for each in run.checkpoints}]
        if row.epochs == BEST and without:
            sentence = f"{summary.tools.preparation} keeps no best checkpoint of run {without[0]}"
            yield _problem(f"{path}.epochs", f"{sentence}: write last, all, or a list of epochs")


def _no_epoch(run: Run, epoch: int) -> str:
    count = sum(each.epoch is not None for each in run.checkpoints)
    if not count:
        known = " or ".join(each.name for each in run.checkpoints)
        return f"epoch {epoch} of run {run.name} is not certain to be there; write epochs: {known}"
    return f"epoch {epoch} of run {run.name} is never trained: it has {count} epoch{'s' if count > 1 else ''}, counted from 0"
