"""What a claim refers to beyond its words: the task as it is asked and scored, and the runs behind it. Pure.

A claim that says the same may come to mean something else, where a prompt, the rows, a scorer or a run is changed after results could be
seen. What decides no number of the claim's own is left out: other tasks and runs, names, resources, the cluster.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ckgit.experiment.claims.settings import chosen
from ckgit.experiment.design.claim import Claim
from ckgit.experiment.design.files import files_for
from ckgit.experiment.design.model import Summary, TaskSpec
from ckgit.experiment.design.parameters import EVALUATION_PARAMETERS, order_of_checkpoint
from ckgit.experiment.design.plan import Cell, Plan, Run, generation, prompts, scorers
from ckgit.formats.listing import in_words
from ckgit.formats.plain_json import differing

_APART = frozenset({"model", "data", "prompt", "system_prompt"})  # of these it says more than what the run gives
_NAMED = 3  # runs of a sentence


class Designed(NamedTuple):
    """A design with what follows from it, as it was at some time."""

    summary: Summary
    plan: Plan
    sources: Mapping[str, bytes]  # by path: files of tasks and scorers, and those that they need


class Meant(NamedTuple):
    """What a claim refers to, values as JSON by their place."""

    task: Mapping[str, str]
    runs: Mapping[str, Mapping[str, str]]  # by name of the run


def changed_since(claim: Claim, before: Designed, now: Designed) -> list[str]:
    """What of that which a claim refers to is not as it was, a sentence each; empty where all of it is."""
    was, is_now = meant(claim, before), meant(claim, now)
    told = [f"task {claim.task}: {differing(was.task, is_now.task)}"] if was.task != is_now.task else []
    # whatever a run is called: one that is there with the same values is the same
    gone = {name: each for name, each in was.runs.items() if each not in is_now.runs.values()}
    new = {name: each for name, each in is_now.runs.items() if each not in was.runs.values()}
    alike: dict[str, list[str]] = {}
    for name in [each for each in gone if each in new]:
        alike.setdefault(differing(gone[name], new[name]), []).append(name)
    told += [f"{in_words(names, _NAMED)}: {what}" for what, names in alike.items()]
    for what, names in (("no more there", gone.keys() - new.keys()), ("there since", new.keys() - gone.keys())):
        told += [f"{in_words(sorted(names), _NAMED)}: {what}"] if names else []
    return told


def meant(claim: Claim, design: Designed) -> Meant:
    """What a claim refers to in a design; nothing of a task that the design has not."""
    task = next((each for each in design.summary.evaluation.tasks if each.name == claim.task), None)
    if task is None:
        return Meant({}, {})
    runs = {run.name: dict(_of_run(design, task, side, run)) for side, run in _runs(claim, design.plan)}
    return Meant(dict(_of_task(design, task)), runs)


def _runs(claim: Claim, plan: Plan) -> Iterator[tuple[str, Run]]:
    sides: list[tuple[str, Sequence[Run]]] = [
        (name, chosen(side, plan.runs)) for name, side in (("left", claim.left), ("right", claim.right)) if side is not None
    ]
    if claim.trend and claim.left is None:
        sides = [("along", plan.training)]
    yield from ((name, run) for name, runs in sides for run in runs)


def _of_task(design: Designed, task: TaskSpec) -> Iterator[tuple[str, str]]:
    """How it asks and scores, whatever it is asked of."""
    summary = design.summary
    yield from _json("", {"evaluator": summary.tools.evaluation, "function": task.entry, "split": task.split})
    yield from _json("", {"limit": task.limit, "clusters": task.clusters})
    yield from _json("args.", task.args)
    yield from _json("generation.", generation(summary, task).model_dump(mode="json", exclude={"max_connections"}, exclude_none=True))
    for number, scorer in enumerate(scorers(summary, task)):
        yield from _json(f"scorers.{number}.", {"name": scorer.name, **scorer.args})
    files = [task.source, *files_for(summary, task, design.sources)]
    yield from _json("", {path: hashlib.sha256(design.sources.get(path, b"")).hexdigest() for path in files})


def _of_run(design: Designed, task: TaskSpec, side: str, run: Run) -> Iterator[tuple[str, str]]:
    """What a run is, and what it is asked."""
    summary, parameters = design.summary, design.summary.parameters
    values = {name: setting.value for name, setting in run.settings.items() if setting.value is not None}
    idle = {*parameters.no_difference, *parameters.unused(values), *_APART}
    used = values.keys() - idle if run.trains else values.keys() & {*EVALUATION_PARAMETERS} - idle
    yield from _json("", {name: value for name, value in values.items() if name in used})
    yield from _json("", {"side": side, "type": run.type, "model": summary.recorded.models.get(run.model, run.model)})
    yield from _json("", dict(zip(("asked prompt", "asked system_prompt"), prompts(run, task), strict=True)))
    yield from _rows(summary, "evaluated data", task.data or run["data"])
    yield from _json("", {"checkpoint": _last([cell for cell in design.plan.cells_of(run.name) if cell.task.name == task.name])})
    if run.trains:
        yield from _json("", {"trainer": summary.tools.preparation, "prompt": run["prompt"], "system_prompt": run["system_prompt"]})
        yield from _rows(summary, "data", run["data"])


def _rows(summary: Summary, place: str, name: str | None) -> Iterator[tuple[str, str]]:
    """By their digest, and how they are read: a file may have another name."""
    if name in summary.data:
        digest, how = summary.data[name].reading(summary.recorded.data.get(name), name)
        yield from _json("", {place: digest, f"{place} as": how})


def _last(cells: Sequence[Cell]) -> str | None:
    """The checkpoint whose evaluation a claim takes."""
    return max(reversed(cells), key=lambda cell: order_of_checkpoint(cell.epoch, cell.of)).of if cells else None


def _json(place: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((f"{place}{name}", json.dumps(value, sort_keys=True, default=str)) for name, value in values.items())
