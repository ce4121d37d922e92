"""What the claims of a design could show, by what this lab knows of seeds and rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError

from ckgit.analysis.planning.claims import Beforehand, EarlierClusters, planned_claims
from ckgit.analysis.planning.pilot import Pilot, pilot_of
from ckgit.errors import CkgitError
from ckgit.experiment.checks.data_profile import DataProfile
from ckgit.experiment.claims.rows import same_rows, sketch_of
from ckgit.experiment.claims.variants import Sketches, scored_variants
from ckgit.experiment.design.claim import Claim
from ckgit.experiment.design.model import Summary
from ckgit.experiment.design.plan import Plan
from ckgit.experiment.measured.compared import RowClusters
from ckgit.experiment.outputs.designs import ClaimPower
from ckgit.experiment.results import Results
from ckgit.lab.experiments import ExperimentRow, newest_experiments
from ckgit.lab.git.objects import read_objects
from ckgit.lab.history.scored import scored_with
from ckgit.lab.lab import Lab
from ckgit.lab.summary.file import FILE

_NEWEST = 50  # experiments that are looked at
_READ = 3  # of those that are likely, whose results are parsed whole
_CLUSTERING = re.compile(rb'^  "clustering": (\[.*?^  \])', re.MULTILINE | re.DOTALL)  # at the top, as no text holds a line break
_CLUSTERS = TypeAdapter(tuple[RowClusters, ...])
_Parsed = TypeVar("_Parsed")


class Powers(NamedTuple):
    """What each claim could show, and what speaks against some, a sentence each."""

    claims: Sequence[ClaimPower]
    warnings: Sequence[str]


def read_powers(
    lab: Lab, summary: Summary, plan: Plan, name: str = "", *, surveys: Mapping[str, DataProfile] = MappingProxyType({})
) -> Powers:
    """What the claims could show; by earlier seeds of the same task, where this lab has some.

    Args:
        name: of the experiment, whose own earlier results are no pilot for it.
        surveys: rows by name of the data set, as far as they could be read: these tell what was scored on them under another name.
    """
    claims = summary.experiment.claims
    if not claims:
        return Powers((), ())
    rows = {(cell.run, cell.task.name): rows_asked(summary, plan, cell.run, cell.task.name) for cell in plan.cells}
    pilots: dict[int, Pilot] = {}
    unread: list[str] = []
    wanted = {at: claim for at, claim in enumerate(claims) if not claim.pair}
    named = name or summary.experiment.name
    likely = partial(_has_seeds, wanted.values())
    for _, results in islice(_earlier(lab, likely, Results.model_validate_json, named, unread), _READ) if wanted else ():
        for at, claim in wanted.items():
            if at not in pilots and (found := pilot_of(results, claim)):
                pilots[at] = found
    sketches = _sketches(plan, surveys)
    variants, unknown = _variants(lab, summary, plan, named, sketches) if any(claim.best for claim in claims) else ({}, [])
    clusters = _clusters(lab, summary, named, unread, {task: (rows[run, task], each) for (run, task), each in sketches.items()})
    told = [f"earlier results that cannot be read say nothing of seeds and rows: {'; '.join(dict.fromkeys(unread))}"] if unread else []
    planned = planned_claims(summary, plan, Beforehand(rows, pilots, variants, clusters))
    return Powers([each.power for each in planned], [*(text for each in planned for text in each.warnings), *told, *unknown])


def _clusters(
    lab: Lab, summary: Summary, name: str, unread: list[str], asked: Mapping[str, tuple[int, Collection[str]]]
) -> Mapping[str, EarlierClusters]:
    """How rows belonged together in the newest experiment that asked the same ones, by task: one with enough clusters, where there is one.

    Args:
        asked: by task how many rows will be asked, and sketches of them.
    """
    columns = {task.name: task.clusters for task in summary.evaluation.tasks if task.clusters and task.name in asked}
    found: dict[str, EarlierClusters] = {}
    likely = partial(_has_clusters, columns.values())
    for experiment, clustering in _earlier(lab, likely, _clustering, name, unread) if columns else ():
        for task, column in columns.items():
            rows, sketches = asked[task]
            for each in clustering:
                same = any(same_rows(each.sketch or "", sketch) for sketch in sketches)
                if (each.column, each.rows, same) == (column, rows, True) and not (task in found and found[task].enough):
                    found[task] = EarlierClusters(experiment, each)
    return found


def _has_seeds(claims: Iterable[Claim], summary: bytes) -> bool:
    return b"seed" in summary and any(claim.task.encode() in summary for claim in claims)


def _has_clusters(columns: Iterable[str], summary: bytes) -> bool:
    return b"clusters" in summary and any(column.encode() in summary for column in columns)


def _clustering(results: bytes) -> Sequence[RowClusters]:
    """That part of results, which is short: all rows with their answers are not parsed, so that it can be asked of many experiments."""
    if b'"clustering"' not in results:
        return ()
    part = _CLUSTERING.search(results)
    return _CLUSTERS.validate_json(part[1]) if part else Results.model_validate_json(results).clustering


def _variants(lab: Lab, summary: Summary, plan: Plan, name: str, sketches: Sketches) -> tuple[Mapping[str, int], Sequence[str]]:
    """By task how many variants there will be on its rows, from which the best is picked; or why that is not known."""
    design = summary.model_dump(mode="json", exclude_defaults=True)
    planned = scored_variants(design, summary.parameters, plan.evaluation_jobs, sketches)
    try:
        return scored_with(lab, name, planned), ()
    except CkgitError as error:
        return {}, [f"how many variants were scored on these rows before is not known: {error.what}"]


def _sketches(plan: Plan, surveys: Mapping[str, DataProfile]) -> Sketches:
    """Of the rows that runs will be asked, by run and task."""

    @cache
    def of(data: str, split: str, limit: int | None) -> str:
        rows = surveys[data].rows.get(split, ())[:limit] if data in surveys else ()
        return sketch_of("\n".join([*(turn.content for turn in row.history), row.input]) for row in rows)

    asked = [(cell, str(cell.task.data or plan.run(cell.run)["data"])) for cell in plan.cells]
    return {(cell.run, cell.task.name): {of(data, cell.task.split, cell.task.limit)} for cell, data in asked}


def rows_asked(summary: Summary, plan: Plan, run: str, task: str) -> int:
    """Rows that a run is asked by a task; 0 where the task brings its own."""
    asked = next(each for each in summary.evaluation.tasks if each.name == task)
    recorded = summary.recorded.data.get(asked.data or plan.run(run)["data"])
    rows = recorded.splits.get(asked.split, 0) if recorded else 0
    return min(rows, asked.limit or rows)


def _earlier(
    lab: Lab, likely: Callable[[bytes], bool], parse: Callable[[bytes], _Parsed], name: str, unread: list[str]
) -> Iterator[tuple[str, _Parsed]]:
    """Names of the newest experiments whose summaries are likely, the newest first, with what is parsed of their results."""
    try:
        rows = [row for row in newest_experiments(lab, _NEWEST) if row.name != name]
        summaries = _read(lab, rows, FILE)
        found = _read(lab, [row for row, text in summaries if likely(text)], "analysis/results.json")
    except CkgitError as error:
        unread.append(error.what)
        return
    for row, content in found:
        try:
            yield row.name, parse(content)
        except ValidationError as error:
            unread.append(f"{row.name}: {error.errors()[0]['msg']}")


def _read(lab: Lab, rows: Sequence[ExperimentRow], file: str) -> list[tuple[ExperimentRow, bytes]]:
    """A file of each experiment that has it, in one git call."""
    contents = read_objects(lab.root, [f"{row.tip}:experiments/{row.name}/{file}" for row in rows], lenient=True)
    return [(row, content) for row, content in zip(rows, contents, strict=True) if content]
