"""Which other experiments of a lab a design is like, and which have some of its runs already."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence

from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.design.model import Summary
from ckgit.experiment.design.plan import Plan, Run, generation, scorers
from ckgit.experiment.outputs.review.reviewed import LikeExperiment
from ckgit.lab.context import differing_places
from ckgit.orchestrators.review.reviews.others import OtherExperiment

_LEAST_ALIKE = 0.5  # share of a design's places that another one has, too
_OWN = ("experiment", "schema_version")  # what says nothing of what is compared


def like(summary: Summary, others: Sequence[OtherExperiment]) -> LikeExperiment | None:
    """The other experiment with the most in common; None where none has much."""
    places = _places(summary)
    alike = {other.name: _alike(places, _places(other.summary)) for other in others}
    nearest = max(others, key=lambda other: alike[other.name], default=None)
    if nearest is None or alike[nearest.name] < _LEAST_ALIKE:
        return None
    return _like(summary, nearest, _same_runs(summary, nearest.summary))


def duplicates(summary: Summary, others: Sequence[OtherExperiment]) -> Iterator[LikeExperiment]:
    """Those that have some of its runs already: the same training, or the same weights, asked the same tasks."""
    for other in others:
        if same := _same_runs(summary, other.summary):
            yield _like(summary, other, same)


def _like(summary: Summary, other: OtherExperiment, same: Mapping[str, str]) -> LikeExperiment:
    places = (place for place in differing_places(other.summary, summary) if not place.startswith(_OWN))
    return LikeExperiment(experiment=other.name, standing=other.standing, differences=tuple(places), same_runs=dict(same))


def _places(summary: Summary) -> frozenset[tuple[str, str]]:
    """What a design says, value by value."""
    document = json.loads(summary.canonical())
    return frozenset(_values("", {name: value for name, value in document.items() if name not in _OWN}))


def _values(place: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _values(f"{place}.{key}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _values(place, inner)
    else:
        yield place, repr(value)


def _alike(one: frozenset[tuple[str, str]], other: frozenset[tuple[str, str]]) -> float:
    """Shared places over all places (Jaccard 1901)."""
    return len(one & other) / (len(one | other) or 1)


def _same_runs(summary: Summary, other: Summary) -> dict[str, str]:
    """This design's runs whose numbers another one has, by name, each with the other's name of it."""
    here, there = build_plan(summary), build_plan(other)
    known: dict[Hashable, list[Run]] = {}
    for run in there.runs:
        known.setdefault(_weights(other, run), []).append(run)
    found = dict[str, str]()
    for run in here.runs:
        asked = _asked(summary, here, run)
        same = (each.name for each in known.get(_weights(summary, run), ()) if asked <= _asked(other, there, each))
        if name := next(same, None):
            found[run.name] = name
    return found


def _weights(summary: Summary, run: Run) -> Hashable:
    """What decides the weights of a run, as far as a design says it: those that it starts from, rows and settings."""
    settings = {name: setting.value for name, setting in run.settings.items() if name != "data"} if run.trains else {}
    card = summary.recorded.models.get(run.model, run.model)
    files = tuple(summary.recorded.files.get(path, path) for path in summary.files)
    return run.type, str(card), summary.tools, _rows(summary, run["data"]), repr(sorted(settings.items(), key=str)), files


def _asked(summary: Summary, plan: Plan, run: Run) -> frozenset[Hashable]:
    """What decides the numbers of a run beside its weights: what each of its cells asks, and how."""
    shared = tuple(run[name] for name in ("prompt", "system_prompt", "dtype", "dataset_type"))
    found = set[Hashable]()
    for cell in plan.cells_of(run.name):
        task = cell.task
        file = summary.recorded.tasks.get(task.source, task.source)
        how = (generation(summary, task), scorers(summary, task), _rows(summary, task.data), sorted(summary.recorded.files.items()))
        found.add((cell.of, str(file), repr(task.model_dump(exclude={"generation", "scorers", "data", "file"})), repr(how), repr(shared)))
    return frozenset(found)


def _rows(summary: Summary, name: str | None) -> Hashable:
    """The rows of a data set, and which columns of them are used; None where no data set is named."""
    if not name or name not in summary.data:
        return name
    return summary.data[name].reading(summary.recorded.data.get(name), name)
