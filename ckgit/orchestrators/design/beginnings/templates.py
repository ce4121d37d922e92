"""Designs to begin with: commented files of ckgit's, filled with what the lab has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from shlex import quote
from typing import Any, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import RunType, TaskSpec
from ckgit.formats.listing import choose, in_words
from ckgit.formats.rows import Shape
from ckgit.formats.yaml.document import read_yaml
from ckgit.formats.yaml.edit import ValueChange, edit_yaml
from ckgit.lab.git.objects import read_files
from ckgit.lab.lab import Lab
from ckgit.orchestrators.design.beginnings.choices import (
    SHARE,
    DataChoice,
    LabChoices,
    for_pairs,
    fractions,
    look_at,
    needed_offers,
    offers,
)

FIRST = "lora-sweep"  # what most begin with
SURVEY = "survey"  # an example with rows and a task of its own
_SHARES = (8, 4, 2, 1)  # of the rows, a learning curve has an eighth, a quarter, a half and all


def templates() -> Mapping[str, str]:
    """Name of each template, and what it compares."""
    return {name: _read(name).partition("\n")[0].removeprefix("# ") for name in sorted(_names())}


class FilledTemplate(NamedTuple):
    """A template as a design for a lab."""

    content: bytes
    used: str  # what of the lab it has, in words


def from_template(lab: Lab, name: str) -> FilledTemplate:
    """A template as a design for a lab: with its first model, data file and task, and with the columns and splits which these rows have.

    Raises:
        CkgitError: USAGE, there is no such template, or the lab lacks a model card, data or a task.
    """
    if name not in _names():
        raise _refused(f"there is no template {name!r}", choose(name, sorted(_names())))
    if name == SURVEY:
        return _survey(lab)
    found = needed_offers(lab)
    if not found.tasks:
        raise _refused("the lab has no task in tasks/", "ckgit task new NAME writes one; commit it, and run the same command again")
    text, data = _read(name), look_at(lab, found.data[0])
    changes = list(_filled(read_yaml(text).value, found, data))
    used = f"model {in_words(changes[0].value)}, data {data.path} and task {found.tasks[0].name}"
    return FilledTemplate(edit_yaml(text, changes).encode(), used)


def _survey(lab: Lab) -> FilledTemplate:
    """The survey example: its rows and its task are its own, and of the lab it has the model that is trained."""
    text, found = _read(SURVEY), offers(lab)
    template = read_yaml(text).value
    baseline = next(run["checkpoint"] for run in template["runs"] if "checkpoint" in run)
    rows, task = template["data"]["respondents"]["generator"]["function"], template["evaluation"]["tasks"][0]["name"]
    needed = [rows.partition("@")[0], f"tasks/{task}.py"]
    if lacking := sorted(set(needed) - read_files(lab.root, lab.base, needed).contents.keys()):
        onward = f"ckgit init {quote(str(lab.root))} --example survey; it adds what this example is made of"
        raise _refused(f"the lab has no {' and no '.join(lacking)}", onward)
    if baseline not in found.models:
        made = f"python -m ckgit.examples.regression data/anes96.py FOLDER, then: ckgit models add {baseline} FOLDER --commit"
        raise _refused(f"there is no model card {baseline}, the regression that is the baseline", made)
    if not (models := [model for model in found.models if model != baseline]):
        raise _refused(f"the lab has no model beside {baseline}", "ckgit models add NAME FOLDER; docs/survey.md of ckgit says which")
    model = next((each for each in template["models"] if each in models), models[0])
    changes = [ValueChange("models", [model, baseline]), *(ValueChange(f"controls.{k}", v) for k, v in on_device(found.device).items())]
    return FilledTemplate(edit_yaml(text, changes).encode(), f"model {model}, baseline {baseline}, rows of {needed[0]} and task {task}")


def _refused(what: str, onward: str) -> CkgitError:
    return CkgitError(what, code=Exit.USAGE, state="nothing was written", next=onward)


def _filled(template: Mapping[str, Any], found: LabChoices, data: DataChoice) -> Iterator[ValueChange]:
    """What a template says of the lab that ckgit comes with, as this lab has it; the models first."""
    only_evaluates = any(run.get("type") == RunType.EVAL_ONLY for run in template["runs"])
    yield ValueChange("models", list(found.models) if only_evaluates else [found.models[0]])
    yield ValueChange("data.rows.path", data.path)
    yield from columns(data)
    yield from (ValueChange(f"controls.{key}", value) for key, value in on_device(found.device).items())
    if data.pairs and not only_evaluates:
        yield ValueChange("tools.preparation", data.tool)
        yield from (ValueChange(f"controls.{key}", value) for key, value in for_pairs(data).items())
    if only_evaluates:
        yield ValueChange("runs", [_evaluated(model, found.bare) for model in found.models])
    elif found.models[0] in found.bare:
        yield ValueChange("controls.dataset_type", "text_completion")
    if data.whole and not only_evaluates:
        yield ValueChange("data.rows.fractions", fractions(SHARE))
    elif data.trained != "train" and not only_evaluates:
        yield ValueChange("controls.train_split", data.trained)
    if "max_samples" in template.get("variables", {}):
        step = template["controls"]["batch_size"]  # with fewer rows nothing is learned
        rows = int(data.splits[data.whole] * (1 - SHARE)) if data.whole else data.splits[data.trained]
        yield ValueChange("variables.max_samples", list(dict.fromkeys(max(rows // share, step) for share in _SHARES)))
    evaluated = data.whole if data.whole and only_evaluates else data.evaluated
    yield ValueChange("evaluation.tasks", [task_entry(found.tasks[0], evaluated)])


def columns(data: DataChoice, name: str = "rows") -> Iterator[ValueChange]:
    """The shape and the columns of a data set, where they are not what ckgit takes for granted."""
    if data.shape is not Shape.COLUMNS:
        yield ValueChange(f"data.{name}.shape", str(data.shape))
    if data.input != "input":
        yield ValueChange(f"data.{name}.input_column", data.input)
    if data.output != "output":
        yield ValueChange(f"data.{name}.output_column", data.output)


def on_device(device: str) -> Mapping[str, str]:
    """A device and the number format that suits it."""
    return {"device": device, "dtype": "fp32" if device == "cpu" else "bf16"}


def task_entry(task: TaskSpec, split: str) -> dict[str, Any]:
    """A task as a design has it."""
    return {**task.model_dump(exclude_defaults=True), "split": split}


def _evaluated(model: str, bare: Sequence[str]) -> dict[str, Any]:
    own = {"parameters": {"dataset_type": "text_completion"}} if model in bare else {}
    return {"name": model, "type": str(RunType.EVAL_ONLY), "checkpoint": model, **own}


def _folder() -> Traversable:
    return resources.files("ckgit.lab") / "templates" / "designs"


def _names() -> list[str]:
    return [file.name.removesuffix(".yaml") for file in _folder().iterdir() if file.name.endswith(".yaml")]


def _read(name: str) -> str:
    return (_folder() / f"{name}.yaml").read_text(encoding="utf-8")
