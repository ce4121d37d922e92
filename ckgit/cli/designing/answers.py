"""The answers of an interview, and the design that they make. Pure: what asks is in interview.py."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import click

from ckgit.experiment.checks.messages import meant_key, not_supported
from ckgit.experiment.checks.problems import value_problems
from ckgit.experiment.checks.run_names import instead_of_run
from ckgit.experiment.design.expand import label
from ckgit.experiment.design.model import RunType, TaskSpec
from ckgit.experiment.design.names import name_problem
from ckgit.experiment.tools.by_tool import DEFAULT_TOOL, parameters_of
from ckgit.formats.rows import PLACEHOLDER, Shape
from ckgit.formats.yaml.document import read_yaml
from ckgit.orchestrators.design.beginnings.choices import SHARE, DataChoice, for_pairs, fractions
from ckgit.orchestrators.design.beginnings.templates import on_device, task_entry

BASE = "base"  # the run of the model as it is, unless it is called otherwise
VARIED = "lora_rank"  # what varies unless it is said otherwise
DEFAULT_VALUES = {"lora_rank": "4, 16", "lr": "1e-4, 3e-4", "epochs": "1, 2", "batch_size": "4, 8", "seed": "0, 1, 2"}
_VALUES_OF_PAIRS = {**DEFAULT_VALUES, "lr": "5e-6, 2e-5", "beta": "0.1, 0.5"}
_CLAIM = re.compile(r"(\S+) *([<>=]) *(\S+?)(?: +(?:by|within) +(\S+))?")
_TREND = re.compile(r"(increases|decreases) +with +(\S+)(?: +by +(\S+))?")
_CLAIM_FORM = (
    "write it as in: rank16 > base by 0.1, rank16 < base, rank16 = rank4 within 0.05, or increases with lora_rank; "
    "several with ; between them"
)
_DIRECTION = {">": "greater", "<": "less", "=": "same"}


class Answers(NamedTuple):
    """What was answered so far; each is what the same question offers the next time."""

    model: str
    device: str
    question: str = "Does fine-tuning improve on the base model?"
    data: DataChoice = DataChoice("", (), {}, {})
    input: str = ""
    output: str = ""
    trained: str = ""
    evaluated: str = ""
    share: str = f"{SHARE:g}"  # of rows that have one split, so many are evaluated
    prompt: str = PLACEHOLDER
    varied: str = VARIED
    values: str = DEFAULT_VALUES[VARIED]
    seeds: str = "0"
    epochs: int = 1
    tasks: Sequence[TaskSpec] = ()
    control: bool = True
    names: Sequence[str] = ()
    usual_names: Sequence[str] = ()  # that were offered for these
    claims: str = ""
    metric: str = "accuracy"

    @property
    def tool(self) -> str:
        """What trains on the rows."""
        return self.data.tool


def usual_values(answers: Answers, varied: str) -> str:
    """What is offered for a parameter: other values for preferences, which are trained more gently."""
    return (_VALUES_OF_PAIRS if answers.data.pairs else DEFAULT_VALUES).get(varied, "1, 2")


def parameter(tool: str, text: str) -> str:
    """The name of a parameter that runs may have which this tool trains.

    Raises:
        click.UsageError: there is none, as for all that follow.
    """
    known = parameters_of(tool)
    if text in known.model_fields:
        return text
    if why := not_supported(text, known):
        raise click.UsageError(f"{text} is not supported: {why}")
    meant = meant_key(text, known.model_fields, known)
    usual = f"usual ones are {', '.join(name for name in DEFAULT_VALUES if name in known.model_fields)}; ckgit schema design has all"
    raise click.UsageError(f"there is no parameter {text}; " + (f"did you mean {meant}?" if meant else usual))


def prompt(text: str) -> str:
    """A prompt that has a place for the row's input."""
    if wrong := list(value_problems(parameters_of(DEFAULT_TOOL), "prompt", [text])):
        raise click.UsageError(wrong[0].message)
    return text


def values(tool: str, name: str, text: str) -> Sequence[Any]:
    """Values of a parameter, with commas between them."""
    document = read_yaml(f"[{text.strip().removeprefix('[').removesuffix(']')}]")
    if document.problems or not document.value:
        raise click.UsageError(document.problems[0].message if document.problems else "give at least one value")
    if wrong := list(value_problems(parameters_of(tool), name, document.value)):
        raise click.UsageError(wrong[0].message)
    return list(document.value)


def share(text: str) -> str:
    """A share of rows, from 0 to less than 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1:
        raise click.UsageError("give a share from 0 to less than 1, e.g. 0.2")
    return text


def run_names(text: str, count: int) -> Sequence[str]:
    """A name for each of so many runs."""
    names = [part.strip() for part in text.split(",")]
    if len(names) != count:
        raise click.UsageError(f"{len(names)} names for {count} runs")
    if wrong := next((f"{name!r}: {problem}" for name in names if (problem := name_problem(name))), ""):
        raise click.UsageError(wrong)
    if repeated := next((name for name in names if names.count(name) > 1), ""):
        raise click.UsageError(f"two runs are called {repeated}")
    return names


def sides(answers: Answers) -> Mapping[str, Any]:
    """What a claim may compare, by the word for it: runs, and where several seeds are trained their settings, over all seeds."""
    runs = {name: name for name in answers.names}
    if answers.varied == "seed" or len(values(answers.tool, "seed", answers.seeds)) == 1:
        return runs
    known = parameters_of(answers.tool)
    each = enumerate(values(answers.tool, answers.varied, answers.values), start=1)
    settings = {label(known, answers.varied, value, position): {answers.varied: value} for position, value in each}
    return {**settings, **runs}


def claims(text: str, known: Mapping[str, Any], tool: str = DEFAULT_TOOL) -> Sequence[Mapping[str, Any]]:
    """Claims, without metric and task.

    Args:
        known: what may be compared, see `sides`.
        tool: whose parameters a trend may be along.
    """
    return [_claim(part, known, tool) for part in filter(None, (part.strip() for part in text.split(";")))]


def _claim(text: str, known: Mapping[str, Any], tool: str) -> Mapping[str, Any]:
    if trend := _TREND.fullmatch(text):
        return {"direction": trend[1], "along": parameter(tool, trend[2]), **_by(trend[3])}
    match = _CLAIM.fullmatch(text)
    if match is None:
        raise click.UsageError(_CLAIM_FORM)
    left, sign, right, by = match.groups()
    if unknown := [name for name in (left, right) if name not in known]:
        raise click.UsageError(f"there is no run {unknown[0]}{instead_of_run(unknown[0], known)}")
    if sign == "=" and not float(_by(by).get("by", 0)):
        raise click.UsageError(f"no two scores are exactly equal: say within how much, as in: {left} = {right} within 0.05")
    return {"left": known[left], "right": known[right], "direction": _DIRECTION[sign], **_by(by)}


def _by(text: str | None) -> Mapping[str, float]:
    if text is None:
        return {}
    try:
        number = float(text)
    except ValueError:
        raise click.UsageError(f"{text} is no number; {_CLAIM_FORM}") from None
    if not 0 <= number < float("inf"):
        raise click.UsageError(f"{text} is no amount; say which is greater by < or >")
    return {"by": number}


def settings(answers: Answers) -> Sequence[Mapping[str, Any]]:
    """What varies, for each run that is trained, in the order of a design's variables."""
    axes = {answers.varied: values(answers.tool, answers.varied, answers.values)}
    if answers.varied != "seed" and len(seeds := values(answers.tool, "seed", answers.seeds)) > 1:
        axes["seed"] = seeds
    return [dict(zip(axes, combination, strict=True)) for combination in itertools.product(*axes.values())]


def own_names(answers: Answers) -> Sequence[str]:
    """What ckgit would call the runs: those that are trained, and the base model where it is evaluated."""
    known = parameters_of(answers.tool)
    position = {str(value): at for at, value in enumerate(values(answers.tool, answers.varied, answers.values), start=1)}
    names = [
        "_".join(label(known, name, value, position.get(str(value), 1)) for name, value in each.items()) for each in settings(answers)
    ]
    return [*names, *([BASE] if answers.control else [])]


def design_of(answers: Answers, *, bare: bool) -> dict[str, Any]:
    """The design that answers make, as plain values.

    Args:
        bare: whether the model has no chat template.
    """
    seeds = [] if answers.varied == "seed" else values(answers.tool, "seed", answers.seeds)
    shared: dict[str, Any] = {"prompt": answers.prompt, "epochs": answers.epochs, **on_device(answers.device), **for_pairs(answers.data)}
    shared |= {"dataset_type": "text_completion"} if bare else {}
    shared |= {"train_split": answers.trained} if answers.trained != "train" else {}
    shared |= {"seed": seeds[0]} if len(seeds) == 1 else {}
    columns: dict[str, Any] = {"shape": str(answers.data.shape)} if answers.data.shape is not Shape.COLUMNS else {}
    columns |= {"input_column": answers.input} if answers.input != "input" else {}
    columns |= {"output_column": answers.output} if answers.output != "output" else {}
    columns |= {"fractions": fractions(float(answers.share))} if answers.data.whole and float(answers.share) else {}
    tool = {"preparation": answers.tool} if answers.data.pairs else {}
    stated = _all_claims(answers)
    return {
        "experiment": {"question": answers.question, **({"claims": stated} if stated else {})},
        "tools": {**tool, "evaluation": "inspect-ai" if answers.tasks else "none"},
        "models": [answers.model],
        "data": {"rows": {"path": answers.data.path, **columns}},
        "controls": {name: value for name, value in shared.items() if name != answers.varied},
        **_runs(answers),
        "evaluation": _evaluation(answers),
    }


def _evaluation(answers: Answers) -> Mapping[str, Any]:
    tasks = [task_entry(task, answers.evaluated) for task in answers.tasks]
    return {"tasks": tasks, **({"generation": {"temperature": 0.0}} if tasks else {})}


def _all_claims(answers: Answers) -> Sequence[Mapping[str, Any]]:
    found = claims(answers.claims, sides(answers), answers.tool) if answers.claims else []
    return [{"metric": answers.metric, "task": task.name, **claim} for task in answers.tasks for claim in found]


def _runs(answers: Answers) -> Mapping[str, Any]:
    """Runs by what varies, where they are called as ckgit calls them, and otherwise written out."""
    each = settings(answers)
    base = [{"name": answers.names[-1], "type": str(RunType.CONTROL)}] if answers.control else []
    named = answers.names[: len(each)]
    if list(named) == list(own_names(answers)[: len(each)]):
        return {"variables": {name: list(dict.fromkeys(one[name] for one in each)) for name in each[0]}, "runs": base}
    return {"runs": [*({"name": name, "parameters": one} for name, one in zip(named, each, strict=True)), *base]}
