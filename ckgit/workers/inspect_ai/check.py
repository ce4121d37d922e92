"""What makes evaluating impossible, or would silently measure something else than was designed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckgit.experiment.card import card_path
from ckgit.experiment.checks.problems import place_of
from ckgit.experiment.design.files import lacking
from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import resources, scorers
from ckgit.experiment.worker import Context, reasons_against
from ckgit.formats.problem import Problem
from ckgit.formats.rows import no_split
from ckgit.workers.inspect_ai.cells import PlannedCell, planned, signature
from ckgit.workers.inspect_ai.run_config import own_prompts, refused_args, task_args
from ckgit.workers.inspect_ai.scorers import metric_doubt, metric_problem, scorer_problems

_WHY = {
    "split": "without it the task would choose the rows itself",
    "prompt": "the model would not be asked as it was trained",
    "system_prompt": "the model would not be asked as it was trained",
}


def check(context: Context) -> list[Problem]:
    """Every problem; empty when there is none. Task files are read as text."""
    found = [*_task_problems(context), *_file_problems(context), *_claim_problems(context), *_node_problems(context)]
    if not reasons_against(found):  # cells can only be looked at with their tasks' signatures
        alike = {(cell.run.name, cell.task.name): cell for cell in planned(context)}  # but for the epoch, of which no problem is
        found += [problem for cell in alike.values() for problem in _cell_problems(cell)]
    return list(dict.fromkeys(found))


def _task_problems(context: Context) -> Iterator[Problem]:
    for task in {cell.task.name: cell.task for cell in context.plan.cells}.values():
        owner = context.summary.evaluation.place(task.name) if task.scorers else "evaluation"
        for place, problem in scorer_problems(scorers(context.summary, task), context.sources):
            yield Problem(f"task {task.name}: {problem}", f"{owner}.scorers.{place}")
        try:
            signature(context, task)
        except ValueError as error:
            yield Problem(str(error), context.summary.evaluation.place(task.name))


def _file_problems(context: Context) -> Iterator[Problem]:
    """Files that tasks open by literal paths, and that will not be where jobs run."""
    for task in context.summary.evaluation.tasks:
        for path, by in lacking(context.summary, task, context.sources).items():
            what = "lies outside of the lab" if path.startswith("../") else "is not committed in the lab"
            sentence = f"task {task.name}: {by} opens {path}, which {what}, so its jobs will not find it"
            yield Problem(sentence, context.summary.evaluation.place(task.name), warning=True)


def _node_problems(context: Context) -> Iterator[Problem]:
    """Each node would evaluate all rows."""
    for run in context.plan.runs:
        if (resources(context.summary, run, Stage.EVALUATION, context.cluster.evaluation).nodes or 1) > 1:
            yield Problem("an evaluation takes one node; leave compute.evaluation.nodes out", "compute.evaluation.nodes")


def _claim_problems(context: Context) -> Iterator[Problem]:
    """A claim that could never be judged would be found out when all is trained."""
    tasks = {task.name: task for task in context.summary.evaluation.tasks}
    for number, claim in enumerate(context.summary.experiment.claims):
        task = tasks.get(claim.task)
        if task is None:
            continue
        source, chosen, place = context.sources.get(task.source, b""), scorers(context.summary, task), f"experiment.claims.{number}.metric"
        if chosen and b"metrics" not in source:
            problem = metric_problem(claim, chosen)
            yield from [Problem(problem, place)] if problem else ()
        elif doubt := metric_doubt(claim, source):  # the task's own scorers, or its own metrics: its text allows a guess
            yield Problem(f"{doubt}; a claim about a metric that is not there cannot be judged", place, warning=True)


def _place(cell: PlannedCell) -> str:
    return cell.context.summary.evaluation.place(cell.task.name)


def _cell_problems(cell: PlannedCell) -> Iterator[Problem]:
    yield from _argument_problems(cell)
    yield from _own_prompt_problems(cell)
    yield from _model_problems(cell)
    yield from _data_problems(cell)
    settings = cell.called.generation
    if not settings.temperature and (settings.top_p or settings.top_k):
        own = cell.task.generation
        name = "top_p" if settings.top_p else "top_k"
        owner = _place(cell) if getattr(own, name) else "evaluation"
        sentence = f"task {cell.task.name}: top_p and top_k mean nothing at temperature 0, which decodes greedily"
        yield Problem(sentence, f"{owner}.generation.{name}")


def _argument_problems(cell: PlannedCell) -> Iterator[Problem]:
    place = _place(cell)
    where = f"task {cell.task.name}: {cell.task.entry}({', '.join(cell.signature.parameters)}) in {cell.task.source}"
    for name in refused_args(cell):
        why = f": {_WHY[name]}" if name in _WHY else ""
        whose = f"data set {cell.data_name!r}" if name in ("input_column", "output_column") else "the design"
        at = f"{place}.args.{name}" if name in cell.task.args else place
        yield Problem(f"{where} does not take {name!r}, which {whose} gives{why}", at)
    missing = [name for name in cell.signature.required if name not in task_args(cell)]
    if missing:
        given = f"{where} needs {_listed(missing)}, which the design does not give"
        yield Problem(f"{given}; write it under the task's args, or give the design data", place)


def _own_prompt_problems(cell: PlannedCell) -> Iterator[Problem]:
    if own := own_prompts(cell):
        what = f"task {cell.task.name} brings data of its own and takes no {' and no '.join(own)}"
        yield Problem(f"{what}: it asks in its own words, and that they are those of training is not checked", _place(cell), warning=True)


def _model_problems(cell: PlannedCell) -> Iterator[Problem]:
    card = cell.context.cards.get(cell.run.model)
    if card is None:
        model = cell.run.model
        sentence = f"run {cell.run.name}: there is no model card {card_path(model)}; make it with: ckgit models add {model} PATH"
        yield Problem(sentence, "models")
    elif cell.run["dataset_type"] == "chat" and card.template is None:
        why = f"model {card.name} has no chat template; a base model is evaluated with dataset_type: text_completion"
        yield Problem(f"run {cell.run.name}: {why}", place_of(cell.context.summary, cell.run, "dataset_type"))


def _data_problems(cell: PlannedCell) -> Iterator[Problem]:
    if cell.data_name and cell.recorded is None:
        yield Problem(f"task {cell.task.name}: data {cell.data_name!r} was not measured by design", f"data.{cell.data_name}")
    elif cell.recorded and cell.task.split not in cell.recorded.splits:
        sentence = no_split(f"task {cell.task.name}: data {cell.data_name}", cell.task.split, cell.recorded.splits)
        yield Problem(sentence, f"{_place(cell)}.split")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
