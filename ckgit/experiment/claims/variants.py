"""Variants: what an experiment has scored on which rows. From its design as plain values, since a lab may have a thousand. Pure."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from ckgit.experiment.claims.rows import same_rows
from ckgit.experiment.claims.settings import SEED
from ckgit.experiment.design.expand import label, size
from ckgit.experiment.design.model import RunType, TaskSpec
from ckgit.experiment.design.parameters import EVALUATION_PARAMETERS, Parameters
from ckgit.experiment.design.plan import GREEDY

_MOST = 10_000  # runs of a design
Sketches = Mapping[tuple[str, str], Collection[str]]  # by run and task; see `claims/rows.py`
_NO_ANSWER = (SEED, "max_connections")  # of generation


class RowsMark(NamedTuple):
    """One thing by which rows that are evaluated are told, whatever a task that asks them is called."""

    source: str  # digest of the data set, or of the file of this split alone; of a task that brings its own rows, its file and function
    split: str  # empty where the whole file is meant


class Asked(NamedTuple):
    """A task with the rows that it asks."""

    task: str
    data: str | None  # digest of the data set; None where the task brings its own rows
    split: str
    rows: frozenset[RowsMark]  # each tells them
    sketches: frozenset[str] = frozenset()  # of what was asked, where that is known: these tell them under other names

    def shares_rows_with(self, other: Asked) -> bool:
        """Whether both ask the same rows."""
        if not self.rows.isdisjoint(other.rows) or not self.sketches.isdisjoint(other.sketches):
            return True
        return any(same_rows(one, another) for one in self.sketches for another in other.sketches)

    def with_rows_of(self, other: Asked) -> Asked:
        """The task with all that either of two tells its rows by."""
        return self._replace(rows=self.rows | other.rows, sketches=self.sketches | other.sketches)


class Variant(NamedTuple):
    """What was scored, whatever its seed."""

    identity: str  # a digest of what it is made from
    control: bool


class _Named(NamedTuple):
    """A run by what the design says of it."""

    name: str
    setting: str  # the same for those that differ in their seed alone
    type: str
    given: Mapping[str, Any]
    checkpoint: str | None


def scored_variants(
    design: Mapping[str, Any], parameters: type[Parameters], jobs: Iterable[str], sketches: Sketches = MappingProxyType({})
) -> dict[Asked, set[Variant]]:
    """What evaluation jobs that are done have scored, by task and rows.

    Args:
        design: a front matter with `recorded`, as plain values.
        jobs: names of the evaluation jobs that are done.
        sketches: of the rows that runs were asked, as far as that is known.

    Raises:
        LookupError, TypeError, AttributeError, ValueError: it is no such front matter.
    """
    done: dict[str, list[str]] = {}
    for job in jobs:
        name, _, cell = job.partition("/eval/")
        done.setdefault(name, []).append(cell)
    shared = (design.get("compute") or {}).get("evaluation_jobs") == "checkpoint"
    found: dict[Asked, set[Variant]] = {}
    seen: dict[Asked, set[str]] = {}
    known: dict[tuple[str, str], Asked] = {}  # by setting and task: most runs are seeds of one that was looked at
    for run in _runs(design, parameters):
        for task in (design.get("evaluation") or {}).get("tasks") or () if run.name in done else ():
            if not shared and not any(cell.startswith(f"{task['name']}_") for cell in done[run.name]):
                continue
            if (asked := known.get((run.setting, task["name"]))) is None:
                asked = known[run.setting, task["name"]] = _asked(design, run, task)
                found.setdefault(asked, set()).add(_variant(design, parameters, run, task))
            seen.setdefault(asked, set()).update(sketches.get((run.name, task["name"]), ()))
    return {asked._replace(sketches=frozenset(seen[asked] - {""})): variants for asked, variants in found.items()}


def by_rows(asked: Iterable[Asked]) -> list[list[Asked]]:
    """Those of one task that ask the same rows, together; in the order of what they are called."""
    groups: list[list[Asked]] = []
    for each in sorted(asked, key=lambda one: str(one[:3])):
        same = [group for group in groups if group[0].task == each.task and any(each.shares_rows_with(one) for one in group)]
        if not same:
            groups.append([each])
            continue
        same[0] += [each, *(one for group in same[1:] for one in group)]
        groups = [group for group in groups if group is same[0] or group not in same]
    return groups


def _runs(design: Mapping[str, Any], parameters: type[Parameters]) -> Iterator[_Named]:
    controls, variables = _by_name(design.get("controls") or {}), design.get("variables") or {}
    if variables and size(variables) <= _MOST:
        axes = [
            [(name, value, label(parameters, name, value, at)) for at, value in enumerate(values, 1)] for name, values in variables.items()
        ]
        for combination in itertools.product(*axes):
            given = {**controls, **{name: value for name, value, _ in combination}}
            setting = "_".join(part for name, _, part in combination if name != SEED)
            yield _Named("_".join(part for _, _, part in combination), setting, str(RunType.FINE_TUNED), given, None)
    for run in design.get("runs") or ():
        own = {**controls, **_by_name(run.get("parameters") or {})}
        yield _Named(run["name"], f"/{run['name']}", str(run.get("type", RunType.FINE_TUNED)), own, run.get("checkpoint"))


def _by_name(values: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """Those that one tool alone has stand in a mapping of their own."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _by_name(value, f"{place}{name}.") if isinstance(value, Mapping) else {f"{place}{name}": value}
    return found


def _asked(design: Mapping[str, Any], run: _Named, task: Mapping[str, Any]) -> Asked:
    name = task.get("data") or _data(design, run)
    digest, split = _digest(design, "data", name), task.get("split") or TaskSpec.model_fields["split"].default
    rows = _of_data(design, str(name), digest, split) if digest else _of_task(design, task, split)
    return Asked(task["name"], digest, split, frozenset(rows))


def _of_data(design: Mapping[str, Any], name: str, digest: str, split: str) -> Iterator[RowsMark]:
    """By the whole data set; and where this split is a file of its own, by that, as the other splits may change beside it."""
    yield RowsMark(digest, split)
    data, recorded = (design.get("data") or {}).get(name) or {}, design["recorded"]["data"][name]
    file = (data.get("files") or {}).get(split)
    if file and (alone := (recorded.get("files") or {file: digest}).get(file)):
        yield RowsMark(alone, "")


def _of_task(design: Mapping[str, Any], task: Mapping[str, Any], split: str) -> Iterator[RowsMark]:
    """By the file that brings them, which may be edited; and by its digest, as it may be renamed."""
    source, function = task.get("file") or f"tasks/{task['name']}.py", task.get("function") or task["name"]
    yield RowsMark(f"{source}@{function}", split)
    if digest := _digest(design, "tasks", source):
        yield RowsMark(f"{digest}@{function}", split)


def _data(design: Mapping[str, Any], run: _Named) -> str | None:
    return run.given.get("data") or next(iter(design.get("data") or {}), None)


def _digest(design: Mapping[str, Any], kind: str, name: str | None) -> str | None:
    found = ((design.get("recorded") or {}).get(kind) or {}).get(name)
    return found["sha256"] if isinstance(found, Mapping) else found


def _variant(design: Mapping[str, Any], parameters: type[Parameters], run: _Named, task: Mapping[str, Any]) -> Variant:
    """It is what it was made from and how it was asked, without what changes no result."""
    trained = run.type == RunType.FINE_TUNED
    apart = {SEED, "model", "data", *parameters.no_difference}
    given = {**parameters.all_defaults(), **run.given}
    told = {name: _plain(value) for name, value in given.items() if name not in apart and (trained or name in EVALUATION_PARAMETERS)}
    model = run.checkpoint or run.given.get("model") or design["models"][0]
    data = _digest(design, "data", _data(design, run)) if trained else None
    asked = {name: task[name] for name in ("prompt", "system_prompt", "args") if task.get(name) not in (None, {})}
    asked["generation"] = _generation(design, task)
    parts: Sequence[Any] = [run.type, _digest(design, "models", model) or model, data, told, asked]
    identity = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]
    return Variant(identity, run.type == RunType.CONTROL)


def _generation(design: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, Any]:
    """How answers are generated, without what changes none of them."""
    layers = (GREEDY.model_dump(), design["evaluation"].get("generation") or {}, task.get("generation") or {})
    laid = {name: value for layer in layers for name, value in layer.items() if value is not None and name not in _NO_ANSWER}
    return {name: _plain(value) for name, value in laid.items()}


def _plain(value: Any) -> Any:
    """1 and 1.0 are the same."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
