"""Which run was made with which versions of its tools. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ckgit.experiment.claims.verdicts import Verdict
from ckgit.experiment.results import RunRow, last_evaluated
from ckgit.formats.listing import in_words

MOST_NAMED = 5  # runs that stand beside a version
Versions = Mapping[str, Mapping[str, str]]  # by stage and package


def by_package(runs: Sequence[RunRow]) -> dict[str, dict[str, str]]:
    """What a table says of each package in each stage: its version; where there are several, which run had which."""
    found: dict[str, dict[str, dict[str, list[str]]]] = {}
    for run in runs:
        for made in [_training(run), *(_evaluation(run, cell.task, cell.epoch) for cell in run.cells)]:
            for stage, versions in made.items():
                for name, version in versions.items():
                    names = found.setdefault(name, {}).setdefault(stage, {}).setdefault(version, [])
                    names += [] if run.name in names else [run.name]
    return {name: {stage: _shown(versions) for stage, versions in stages.items()} for name, stages in sorted(found.items())}


def marked(verdict: Verdict, runs: Sequence[RunRow]) -> Verdict:
    """A verdict whose reason says where its runs were made with other versions than each other."""
    claim, rows = verdict.claim, {run.name: run for run in runs}
    if verdict.settings:
        return _marked_settings(verdict, [rows[name] for each in verdict.settings for name in each.runs if name in rows])
    if verdict.difference is None or claim.pair is None or not set(claim.pair) <= rows.keys():
        return verdict
    left = _made(rows[claim.pair[0]], claim.task, verdict.left_epoch)
    right = _made(rows[claim.pair[1]], claim.task, verdict.right_epoch)
    others = [
        f"{stage} of {claim.left} had {name} {version}, that of {claim.right} {right[stage][name]}"
        for stage, versions in left.items()
        for name, version in versions.items()
        if right.get(stage, {}).get(name, version) != version
    ]
    reason = f"{verdict.reason}; the two runs used different tool versions: {'; '.join(others)}"
    return verdict.model_copy(update={"reason": reason}) if others else verdict


def _marked_settings(verdict: Verdict, runs: Sequence[RunRow]) -> Verdict:
    found: dict[str, dict[str, list[str]]] = {}
    for run in runs:
        evaluated = [cell for cell in run.cells if cell.task == verdict.claim.task]
        for stage, versions in {**_training(run), **({"evaluation": last_evaluated(evaluated).versions} if evaluated else {})}.items():
            for name, version in versions.items():
                found.setdefault(f"{stage}: {name}", {}).setdefault(version, []).append(run.name)
    others = [f"{what} {_shown(versions)}" for what, versions in found.items() if len(versions) > 1]
    reason = f"{verdict.reason}; the runs used different tool versions: {'; '.join(others)}"
    return verdict.model_copy(update={"reason": reason}) if others else verdict


def _made(run: RunRow, task: str, epoch: int | None) -> Versions:
    return {**_training(run), **_evaluation(run, task, epoch)}


def _training(run: RunRow) -> Versions:
    return {"training": run.training.versions} if run.training else {}


def _evaluation(run: RunRow, task: str, epoch: int | None) -> Versions:
    found = [cell.versions for cell in run.cells if (cell.task, cell.epoch) == (task, epoch)]
    return {"evaluation": found[0]} if found else {}


def _shown(versions: Mapping[str, Sequence[str]]) -> str:
    if len(versions) == 1:
        return next(iter(versions))
    return ", ".join(f"{version} ({in_words(names, MOST_NAMED)})" for version, names in versions.items())
