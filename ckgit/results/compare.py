"""Experiments or runs side by side: first how they differ, then the same metrics over the rows that both answered."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ckgit.analysis.comparing.same_rows import UNTOLD, clusters_in, paired, rows_in, shared_rows
from ckgit.analysis.scores import SampleScores, mean_scores, means, on_unit_scale
from ckgit.analysis.statistics import intervals
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import RunType
from ckgit.experiment.outputs.across.answers import ComparedMetric, CompareDocument, ComparedSide, DesignDifference
from ckgit.experiment.results import CellResult, Metric, Results, RunRow, last_evaluated
from ckgit.formats.listing import choose, in_words
from ckgit.lab.git.objects import read_objects
from ckgit.lab.lab import Lab

_SAID = ("experiment.name", "experiment.date")  # which always differ


class NamedSide(NamedTuple):
    """An experiment, or a run of one."""

    name: str  # as it was asked for
    experiment: str
    folder: str  # of the experiment, in the lab
    commit: str
    run: str  # empty for the whole experiment
    document: Any  # the run's parameters, or the design
    problem: str | None
    clustered: frozenset[str] = frozenset()  # tasks whose rows belong together


def find_sides(connection: Any, names: Sequence[str]) -> list[NamedSide]:
    """What the names mean.

    Raises:
        CkgitError: USAGE, there is no such experiment or run.
    """
    return [_side(connection, name.removeprefix("exp/")) for name in names]


def _side(connection: Any, name: str) -> NamedSide:
    experiment, _, run = name.partition("/")
    query = "SELECT name, commit, design, problem FROM experiments WHERE experiment = $1"
    found = connection.execute(query, [experiment]).fetchall()
    if not found:
        known = [each for (each,) in connection.execute("SELECT experiment FROM experiments ORDER BY committed DESC").fetchall()]
        what = f"there is no experiment {experiment!r}"
        onward = choose(experiment, known) or "ckgit design NAME makes the first one"
        raise CkgitError(what, code=Exit.USAGE, state="nothing was compared", next=onward)
    [(own, commit, document, problem)] = found
    folder = f"experiments/{own}"
    if run:
        rows = connection.execute("SELECT run, type, parameters FROM runs WHERE experiment = $1 ORDER BY number", [experiment]).fetchall()
        if run not in (runs := {each: (kind, parameters) for each, kind, parameters in rows}):
            what = f"{experiment} has no run {run!r}"
            onward = choose(run, runs) or f"ckgit status {own} says why"
            raise CkgitError(what, code=Exit.USAGE, state="nothing was compared", next=onward)
        kind, parameters = runs[run]
        of_run = {"type": kind, **json.loads(parameters or "{}")}
        return NamedSide(name, experiment, folder, commit, run, of_run, problem, _clustered(document))
    return NamedSide(name, experiment, folder, commit, run, json.loads(document) if document else None, problem, _clustered(document))


def _clustered(design: str | None) -> frozenset[str]:
    tasks = json.loads(design)["evaluation"]["tasks"] if design else ()
    return frozenset(task["name"] for task in tasks if task.get("clusters"))


def compare(lab: Lab, sides: Sequence[NamedSide]) -> CompareDocument:
    """How the sides differ, and each other one against the first over the rows that both answered.

    Raises:
        CkgitError: EVIDENCE_MISSING, results cannot be read.
    """
    remarks: list[str] = []
    contents = read_objects(lab.root, [f"{each.commit}:{each.folder}/analysis/results.json" for each in sides], lenient=True)
    results = [_results(each, content, remarks) for each, content in zip(sides, contents, strict=True)]
    metrics: list[ComparedMetric] = []
    for (one, left), (other, right) in zip(itertools.repeat((sides[0], results[0])), zip(sides[1:], results[1:], strict=True)):
        if left and right:
            metrics += _compared(one, left, other, right, remarks)
    if len(metrics) > 1:
        remarks.append(f"{len(metrics)} comparisons were made; the intervals are each one's own, and not corrected for that")
    compared = tuple(ComparedSide(name=each.name, commit=each.commit) for each in sides)
    return CompareDocument(sides=compared, differences=tuple(_differences(sides, remarks)), metrics=tuple(metrics), remarks=tuple(remarks))


def _results(side: NamedSide, content: bytes | None, remarks: list[str]) -> Results | None:
    if side.problem:
        raise CkgitError(
            f"{side.experiment} cannot be read whole: {side.problem}",
            code=Exit.EVIDENCE_MISSING,
            state="nothing was compared",
            next=f"ckgit status {side.folder.rpartition('/')[2]}",
        )
    if content is None:
        remarks.append(f"{side.experiment} has no results yet: ckgit advance {side.experiment} --to analyzed")
        return None
    return Results.model_validate_json(content)


def _differences(sides: Sequence[NamedSide], remarks: list[str]) -> Iterator[DesignDifference]:
    """Places in which the documents differ, with each one's value."""
    if len({bool(each.run) for each in sides}) > 1:
        remarks.append("an experiment and a run have no parameters in common: name runs, or experiments")
        return
    flat = [dict(_flat(each.document, "")) for each in sides]
    untrained = all(each.run for each in sides) and any(each["type"] != RunType.FINE_TUNED for each in flat)
    for place in dict.fromkeys(itertools.chain(*flat)):
        values = [each.get(place) for each in flat]
        if untrained and any(place not in each for each in flat):
            continue  # how one of them was trained is no difference from one that was not
        if place not in _SAID and any(value != values[0] for value in values):
            yield DesignDifference(place=place, values=tuple(values))


def _flat(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _flat(each, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list) and value and all(isinstance(each, Mapping) and "name" in each for each in value):
        for each in value:  # runs, tasks and scorers are known by their names
            yield from _flat({key: part for key, part in each.items() if key != "name"}, f"{place}.{each['name']}")
    elif isinstance(value, list) and place in ("data", "variables"):
        yield from _flat(dict(value), place)  # the canonical form has them as pairs
    else:
        yield place, value


def _compared(one: NamedSide, left: Results, other: NamedSide, right: Results, remarks: list[str]) -> Iterator[ComparedMetric]:
    """Each metric that both have, of the pairs of runs that are the same."""
    pairs = _pairs(one, left, other, right)
    if not pairs:
        runs = [in_words([run.name for run in each.runs], 3) for each in (left, right)]
        what = f"{one.name} has {runs[0]}, {other.name} has {runs[1]}: no run has the same name"
        remarks.append(f"{what}; name two, as {one.experiment}/RUN {other.experiment}/RUN")
    for first, second in pairs:
        names = (f"{one.experiment}/{first.name}", f"{other.experiment}/{second.name}")
        tasks = [task for task in dict.fromkeys(cell.task for cell in first.cells) if any(cell.task == task for cell in second.cells)]
        if not tasks:
            remarks.append(f"{names[0]} and {names[1]} have no evaluated task in common")
        for task in tasks:
            together = task in one.clustered | other.clustered
            yield from _of_task(task, names, first, second, _means(task, left, right), together=together)


def _pairs(one: NamedSide, left: Results, other: NamedSide, right: Results) -> list[tuple[RunRow, RunRow]]:
    if one.run and other.run:
        return [(first, second) for first in left.runs for second in right.runs if (first.name, second.name) == (one.run, other.run)]
    own = [run for run in left.runs if one.run in ("", run.name)]
    theirs = {run.name: run for run in right.runs if other.run in ("", run.name)}
    if one.run or other.run:
        return [(first, second) for first in own for second in theirs.values()]
    return [(run, theirs[run.name]) for run in own if run.name in theirs]


def _means(task: str, *results: Results) -> frozenset[tuple[str, str]]:
    cells = [[cell for run in each.runs for cell in run.cells if cell.task == task] for each in results]
    return means(cells[0]) & means(cells[1])


def _of_task(
    task: str, names: tuple[str, str], one: RunRow, other: RunRow, known: frozenset[tuple[str, str]], *, together: bool
) -> Iterator[ComparedMetric]:
    cells = [last_evaluated([cell for cell in run.cells if cell.task == task]) for run in (one, other)]
    theirs = {(metric.scorer, metric.name): metric for metric in cells[1].metrics}
    for metric in cells[0].metrics:
        key = (metric.scorer, metric.name)
        if key in theirs:
            yield _of_metric(task, names, (cells[0], cells[1]), (metric, theirs[key]), mean=key in known, together=together)


def _of_metric(
    task: str, names: tuple[str, str], cells: tuple[CellResult, CellResult], metrics: tuple[Metric, Metric], *, mean: bool, together: bool
) -> ComparedMetric:
    rows, shared = [rows_in(cell) for cell in cells], shared_rows(cells)
    answers = [mean_scores(cell, metric) if mean else None for cell, metric in zip(cells, metrics, strict=True)]
    values = tuple(metric.value for metric in metrics)
    clusters = clusters_in(cells, shared)
    found, remark = None, _why_not(len(shared), metrics, answers) or (UNTOLD if together and clusters is None else "")
    if not remark and answers[0] and answers[1]:
        one, other = (_only(each, shared) for each in (answers[0], answers[1]))
        unit = all(on_unit_scale(metric, one, other) for metric in metrics)
        found = paired(other, one, unit=unit, clusters=clusters)
        values = (_mean(one), _mean(other))
        remark = _limits(rows, len(shared), (one, other), known=found is not None)
    known = values[0] is not None and values[1] is not None
    return ComparedMetric(
        task=task,
        scorer=metrics[0].scorer,
        metric=metrics[0].name,
        left_run=names[0],
        right_run=names[1],
        left_value=values[0],
        right_value=values[1],
        difference=values[1] - values[0] if known else None,  # type: ignore[operator]  # both are known
        low=found.low if found else None,
        high=found.high if found else None,
        interval=found.method if found else None,
        rows=len(shared),
        left_rows=len(rows[0]),
        right_rows=len(rows[1]),
        remark=remark,
    )


def _only(answers: SampleScores, shared: Sequence[int | str]) -> SampleScores:
    return SampleScores({key: answers.by_id[key] for key in shared})


def _mean(answers: SampleScores) -> float | None:
    scored = list(answers.scored().values())
    return intervals.mean(scored) if scored else None


def _why_not(shared: int, metrics: Sequence[Metric], answers: Sequence[SampleScores | None]) -> str:
    """Why two values cannot be compared row by row; empty where they can."""
    if not shared:
        return "not the same rows: no id with the same question and target is in both"
    if any(metric.value is None for metric in metrics):
        return "it is undefined on one side"
    if None in answers:
        return "it is not a mean of the rows' scores, so rows cannot be paired"
    return ""


def _limits(rows: Sequence[Mapping[Any, Any]], shared: int, answers: Sequence[SampleScores], *, known: bool) -> str:
    told = []
    if any(len(each) != shared for each in rows):
        told.append(f"not the same rows: {shared:,} are in both, of {len(rows[0]):,} and {len(rows[1]):,}; the others are left out")
    if not all(each.whole for each in answers):
        told.append("scores that are missing are taken at worst and at best")
    if not known:
        told.append("the scores do not tell an interval")
    return "; ".join(told)
