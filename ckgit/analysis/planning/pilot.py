"""What earlier results say of chance: how much seeds of one setting differ, and rows between them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, variance
from typing import NamedTuple

from ckgit.analysis.scores import mean_scores, means
from ckgit.analysis.statistics.power import TYPICAL, Spread
from ckgit.experiment.claims.settings import SEED
from ckgit.experiment.design.claim import Claim
from ckgit.experiment.results import CellResult, Results, last_evaluated

_LEAST = 1e-6  # of a variance: what never differed in a pilot may differ


class Pilot(NamedTuple):
    """Variance components of an earlier experiment."""

    spread: Spread
    experiment: str
    settings: int  # that were trained more than once
    runs: int  # of them


class _Setting(NamedTuple):
    """Seeds of one setting, with the score of each row that all of them have."""

    scores: Sequence[Sequence[float]]  # of each run, in the same order of rows


def pilot_of(results: Results, claim: Claim) -> Pilot | None:
    """What an experiment with several seeds of a setting says of a claim's task and metric; None where it has none."""
    settings = [found for runs in _by_setting(results) if (found := _setting(results, claim, runs))]
    if not settings:
        return None
    df = sum(len(each.scores) - 1 for each in settings)
    rows = min(len(each.scores[0]) for each in settings)
    runs = sum((len(each.scores) - 1) * variance([fmean(run) for run in each.scores]) for each in settings) / df
    within = max(sum((len(each.scores) - 1) * _within(each) for each in settings) / df, _LEAST)
    spread = Spread(max(runs - within / rows, 0.0) ** 0.5, within, _between(settings, within))
    return Pilot(spread, results.experiment, len(settings), sum(len(each.scores) for each in settings))


def _by_setting(results: Results) -> Iterator[Sequence[str]]:
    """Names of the runs that differ in their seed alone."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for run in results.runs:
        if run.training and SEED in run.varied and not run.again:
            found.setdefault(tuple((name, value) for name, value in run.varied.items() if name != SEED), []).append(run.name)
    return (runs for runs in found.values() if len(runs) > 1)


def _setting(results: Results, claim: Claim, runs: Sequence[str]) -> _Setting | None:
    of_task = [cell for run in results.runs for cell in run.cells if cell.task == claim.task]
    known: list[Mapping[object, float]] = []
    for name in runs:
        own = [cell for cell in of_task if cell.run == name]
        if own and (scores := _rows(claim, last_evaluated(own), of_task)):
            known.append(scores)
    shared = [row for row in known[0] if all(row in each for each in known)] if len(known) > 1 else []
    return _Setting([[each[row] for row in shared] for each in known]) if len(shared) > 1 else None


def _rows(claim: Claim, cell: CellResult, of_task: Sequence[CellResult]) -> Mapping[object, float]:
    """The score of each row that has one; none where the metric is not their mean."""
    metric = next((each for each in cell.metrics if each.name == claim.metric and claim.scorer in (None, each.scorer)), None)
    if metric is None or (metric.scorer, metric.name) not in means(of_task):
        return {}
    answers = mean_scores(cell, metric)
    return answers.scored() if answers else {}


def _within(setting: _Setting) -> float:
    """Row-by-seed mean square: what is left of a row's score beside its own mean and its run's."""
    seeds, rows = len(setting.scores), len(setting.scores[0])
    of_row, of_run = [fmean(column) for column in zip(*setting.scores, strict=True)], [fmean(run) for run in setting.scores]
    mean = fmean(of_run)
    left = (y - of_run[s] - of_row[i] + mean for s, run in enumerate(setting.scores) for i, y in enumerate(run))
    return sum(each**2 for each in left) / ((seeds - 1) * (rows - 1))


def _between(settings: Sequence[_Setting], within: float) -> float:
    """Variance over rows of the difference of two settings beyond their seeds; of one setting as usual beside `within`."""
    found = []
    for at, one in enumerate(settings):
        for other in settings[at + 1 :]:
            if len(one.scores[0]) == len(other.scores[0]):
                left, right = ([fmean(column) for column in zip(*each.scores, strict=True)] for each in (one, other))
                apart = variance([a - b for a, b in zip(left, right, strict=True)])
                found.append(apart - within / len(one.scores) - within / len(other.scores))
    usual = within * TYPICAL.between / TYPICAL.within
    return max(fmean(found), 0.0) if found else usual
