"""What commits of experiments hold, as rows of the tables. What cannot be read is said in the experiment's row, and the rest is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from ckgit.errors import CkgitError
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.design.plan import Plan
from ckgit.experiment.jobs import Ledger
from ckgit.experiment.lifecycle import is_closed
from ckgit.experiment.results import Results
from ckgit.formats.listing import escaped
from ckgit.formats.times import of_git
from ckgit.lab.git.objects import read_objects
from ckgit.lab.git.trailers import Trailers, newer_version
from ckgit.lab.lab import Lab
from ckgit.lab.summary.file import SummaryFile
from ckgit.lab.summary.state import state_in
from ckgit.results.from_git.history import LoggedStep, commit_rows, commits_of
from ckgit.results.from_git.rows import Row, attempt_rows, result_rows, run_rows
from ckgit.results.from_git.sources import ResultsSource

T = TypeVar("T")
_FILES = ("experiment_summary.md", "defaults.json", "jobs.json", "analysis/results.json")
_AT_ONCE = 40  # experiments whose files are in memory together
_LONGEST = 400  # characters of why something cannot be read


class _Found(NamedTuple):
    """What an experiment's files say; None for what is not there, or cannot be read."""

    state: str | None
    summary: SummaryFile | None
    plan: Plan | None
    ledger: Ledger | None
    results: Results | None
    problem: str | None


def read_rows(lab: Lab, sources: Sequence[ResultsSource]) -> Iterator[list[Mapping[str, list[Row]]]]:
    """The rows of all tables, by experiment, some experiments at a time."""
    steps = commits_of(lab, sources) if sources else {}
    for at in range(0, len(sources), _AT_ONCE):
        chunk = sources[at : at + _AT_ONCE]
        names = [f"{each.commit}:experiments/{each.name}/{file}" for each in chunk for file in _FILES]
        contents = [*read_objects(lab.root, names, lenient=True)]
        by_source = [contents[index : index + len(_FILES)] for index in range(0, len(contents), len(_FILES))]
        yield [_read(each, files, steps.get(each.experiment)) for each, files in zip(chunk, by_source, strict=True)]


def _read(source: ResultsSource, files: Sequence[bytes | None], steps: Sequence[LoggedStep] | None) -> Mapping[str, list[Row]]:
    if steps is not None:
        found = _found(source, *files)
        last = _last(source, steps)
        newer = newer_version(source.name, last.version) if last and found.problem else None
        told = "; ".join(filter(None, [newer.what if newer else "", found.problem]))
        return _rows(source, found._replace(problem=told or None), steps)
    why = f"its commit {source.commit[:12]}, or one before it, is missing or damaged: git fsck says which objects are"
    return _rows(source, _Found(None, None, None, None, None, why), [])


def _found(source: ResultsSource, summary: bytes | None, defaults: bytes | None, jobs: bytes | None, results: bytes | None) -> _Found:
    problems: list[str] = []

    def tried(what: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except (CkgitError, ValueError, LookupError, TypeError, RecursionError) as error:
            said = error.what if isinstance(error, CkgitError) else _invalid(error) if isinstance(error, ValidationError) else str(error)
            problems.append(f"{what} cannot be read: {escaped(' '.join(said.split()))[:_LONGEST]}")
            return None

    if summary is None:
        problems.append("experiment_summary.md is not there, or damaged")
    state = tried("the state", lambda: str(state_in(summary or b"", _FILES[0]))) if summary is not None else None
    read = tried(_FILES[0], lambda: SummaryFile.parse(summary or b"", _FILES[0])) if state else None
    plan = tried("the plan of its runs", lambda: _plan(read, defaults)) if read else None
    ledger = tried(_FILES[2], lambda: Ledger.model_validate_json(jobs or b"")) if jobs is not None and state != "designed" else None
    found = tried(_FILES[3], lambda: _results(source, results or b"")) if results is not None and state == "analyzed" else None
    if state == "analyzed" and results is None:
        problems.append(f"{_FILES[3]} is not there, or damaged")
    design = read.summary.digest if read else ""
    if ledger and ledger.design and design and ledger.design != design:
        problems, ledger = [*problems, "jobs.json lists the jobs of another design, which are left out"], None
    if found and design and found.design != design:
        problems, found = [*problems, "analysis/results.json is of another design, and is left out"], None
    return _Found(state, read, plan, ledger, found, "; ".join(problems) or None)


def _invalid(error: ValidationError) -> str:
    """What a model says first, in a line."""
    first, *others = error.errors(include_url=False, include_input=False)
    place = ".".join(map(str, first["loc"]))
    more = f", and {len(others):,} more" if others else ""
    return f"{place}: {first['msg']}{more}" if place else f"{first['msg']}{more}"


def _plan(summary: SummaryFile | None, defaults: bytes | None) -> Plan | None:
    if summary is None:
        return None
    given = summary.summary.parameters.model_validate_json(defaults).given() if defaults is not None else None
    return build_plan(summary.summary, given or None)


def _results(source: ResultsSource, content: bytes) -> Results:
    found = Results.model_validate_json(content)
    if found.experiment != source.name:
        raise ValueError(f"it is of experiment {found.experiment!r}")
    return found


def _rows(source: ResultsSource, found: _Found, steps: Sequence[LoggedStep]) -> Mapping[str, list[Row]]:
    of_results = result_rows(source.experiment, found.results)
    runs = run_rows(source.experiment, found.plan, found.results)
    attempts = attempt_rows(source.experiment, found.ledger)
    counted = {"runs": len(runs), "cells": len(of_results["cells"]), "gpu_hours": _sum(row["gpu_hours"] for row in attempts)}
    own = {**_experiment(source, found, steps), **counted}
    return {"experiments": [own], "runs": runs, **of_results, "attempts": attempts, "commits": commit_rows(source, steps)}


def _sum(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _last(source: ResultsSource, steps: Sequence[LoggedStep]) -> Trailers | None:
    """The last step of ckgit's."""
    return next((found for step in reversed(steps) if (found := step.of(source.name))), None)


def _experiment(source: ResultsSource, found: _Found, steps: Sequence[LoggedStep]) -> Row:
    design = found.summary.summary if found.summary else None
    last = _last(source, steps)
    times = [of_git(step.committed).replace(tzinfo=None) for step in steps]
    about = design.experiment if design else None
    return {
        "experiment": source.experiment,
        "name": source.name,
        "commit": source.commit,
        "held": source.held,
        "current": source.current,
        "state": found.state,
        "closed": is_closed(last.standing) if last else False,
        "question": about.question if about else None,
        "hypothesis": about.hypothesis or None if about else None,
        "purpose": about.purpose or None if about else None,
        "date": about.date if about else None,
        "models": ", ".join(design.models) if design else None,
        "preparation": str(design.tools.preparation) if design else None,
        "evaluation": str(design.tools.evaluation) if design else None,
        "design_hash": design.digest if design else None,
        "design": json.dumps(json.loads(design.canonical()), ensure_ascii=False) if design else None,
        "began": times[0] if times else None,
        "committed": times[-1] if times else None,
        "problem": found.problem,
    }
