"""Every pair of settings by the main metric of each task: paired by row, corrected for how many there are. Nobody claimed them before.

Settings that were trained with several seeds are compared over all of them. Where no setting was, its run is, which says nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from types import MappingProxyType
from typing import NamedTuple

from ckgit.analysis.comparing.main_metric import MainMetric
from ckgit.analysis.comparing.p_values import by_inversion, holm, mcnemar_mid_p, paired_t
from ckgit.analysis.comparing.scored import RunScore, SettingOnTask, settings_on_tasks
from ckgit.analysis.scores import SampleScores, bounds, scored_count
from ckgit.analysis.statistics import intervals
from ckgit.analysis.statistics.contrast import Contrast, ScoredSetting, Term, components
from ckgit.analysis.statistics.intervals import Interval
from ckgit.experiment.claims.verdicts import Quantity
from ckgit.experiment.design.model import DataSet, RunType
from ckgit.experiment.measured.compared import PairComparison
from ckgit.experiment.results import RunRow
from ckgit.formats.listing import plural

MOST_PAIRS = 45  # of a task: those of ten settings
_MOST_ALONE = 200  # comparisons with one of them, where there are more pairs
DataByRun = Mapping[str, Mapping[str, DataSet]]  # by task, then by run: what it was evaluated on, where that is known


class MadePairs(NamedTuple):
    """All comparisons, and what is said of those that were not made."""

    pairs: tuple[PairComparison, ...]
    not_made: tuple[str, ...]


def compare_pairs(runs: Sequence[RunRow], data: DataByRun, clusters: Mapping[str, str] = MappingProxyType({})) -> MadePairs:
    """The comparisons of every task with at least two settings that have a value.

    Args:
        clusters: by task the metadata column whose rows belong together.
    """
    pairs: list[PairComparison] = []
    notes: list[str] = []
    for main, settings in settings_on_tasks(runs, clusters):
        known = [setting for setting in settings if setting.scores]
        chosen, of, note = _chosen(known, main)
        notes += [f"{main.task}: {note}"] if note else []
        pool = [setting.by_row for setting in settings if setting.by_row]
        level = 1 - 0.05 / max(1, of)
        found = [_pair(left, right, pool, level, data.get(main.task, {})) for left, right in chosen]
        pairs += _corrected(found, of)
    return MadePairs(tuple(pairs), tuple(notes))


def _chosen(settings: Sequence[SettingOnTask], main: MainMetric) -> tuple[list[tuple[SettingOnTask, SettingOnTask]], int, str]:
    """All pairs; of very many only those with a control, or with the best. And for how many they are to be corrected.

    Which setting is the best is seen in the scores, so its pairs are chosen from all that there are.
    """
    pairs = list(combinations(settings, 2))
    if len(pairs) <= MOST_PAIRS:
        return pairs, len(pairs), ""
    control = next((setting for setting in settings if setting.type is RunType.CONTROL), None)
    best = (min if main.lowest else max)(settings, key=_mean)
    other = control or best
    chosen = [(setting, other) for setting in settings if setting is not other][:_MOST_ALONE]
    which = f"the control, {other.name}" if control else f"the best of them, {other.name}, which was picked by these same scores"
    of = len(chosen) if control else len(pairs)
    corrected = "" if control else f", so they are corrected for all {len(pairs):,}"
    said = f"{plural(len(settings), 'setting')} make {len(pairs):,} pairs; {len(chosen):,} are compared, each with {which}{corrected}"
    return chosen, of, said


def _mean(setting: SettingOnTask) -> float:
    return intervals.mean(setting.values)


def _corrected(found: Sequence[PairComparison], of: int) -> list[PairComparison]:
    """With p-values corrected by Holm; a comparison without one, and one that was not made, counts as one that shows nothing."""
    known = [1.0 if each.p is None else each.p for each in found]
    adjusted = holm([*known, *[1.0] * (of - len(known))])
    return [each if each.p is None else each.model_copy(update={"adjusted": value}) for each, value in zip(found, adjusted, strict=False)]


def _pair(
    left: SettingOnTask, right: SettingOnTask, pool: Sequence[ScoredSetting], level: float, data: Mapping[str, DataSet]
) -> PairComparison:
    made = PairComparison(
        task=left.main.task,
        scorer=left.main.scorer,
        metric=left.main.name,
        left=left.name,
        right=right.name,
        level=level,
        seeds=(len(left.scores), len(right.scores)),
        difference=_mean(left) - _mean(right),
    )
    scores = [*left.scores, *right.scores]
    if why := _why_not(scores, data):
        return made.model_copy(update={"why_not": why})
    rows = {"rows": len(scores[0].rows)}
    alone = len(scores) == 2 and not any(setting.df for setting in pool)  # noqa: PLR2004 - a run on each side, and no spread between seeds
    if alone and not left.clusters:
        names = {"left": scores[0].cell.run, "right": scores[1].cell.run}  # it says nothing of the settings
        return made.model_copy(update={**rows, **names, **_of_runs(left, right, level)})
    if left.by_row is None or right.by_row is None:
        return made.model_copy(update={"why_not": f"scores are missing: {_unscored(scores)}"})
    return made.model_copy(update={**rows, **_of_settings(left, right, pool, level)})


def _why_not(scores: Sequence[RunScore], data: Mapping[str, DataSet]) -> str:
    if any(score.rows != scores[0].rows for score in scores):
        return "they answered other rows"
    known = [data[score.cell.run] for score in scores if score.cell.run in data]
    if any(each != known[0] for each in known):
        return "they answered rows of other data"
    if any(score.answers is None for score in scores):
        return f"{scores[0].metric.name} is not a mean of the rows' scores"
    return ""


def _unscored(scores: Sequence[RunScore]) -> str:
    return ", ".join(f"{score.cell.run}: {scored_count(score.cell, score.metric)}" for score in scores if not score.whole)


def _of_settings(left: SettingOnTask, right: SettingOnTask, pool: Sequence[ScoredSetting], level: float) -> dict[str, object]:
    """Over all seeds: the margins interval, and the p-value at which it would just touch 0."""
    one, other = left.by_row, right.by_row
    if one is None or other is None:
        return {}
    order = list(left.scores[0].rows)
    placed = [list(right.scores[0].rows).index(key) for key in order] if order != list(right.scores[0].rows) else None
    aligned = other if placed is None else ScoredSetting(tuple(tuple(run[at] for at in placed) for run in other.runs), other.trained)
    terms = [Term(1.0, one), Term(-1.0, aligned)]
    binary = left.binary and right.binary
    parts = components(terms, pool, unit=binary, clusters=left.clusters)
    found = parts.at(level)
    if found.low is None or found.high is None:
        return {}
    ends = Interval(found.low, found.high, found.method)
    ends = ends.within(-1.0, 1.0) if left.unit and right.unit else ends
    p = by_inversion(lambda wanted: _leaves_out_0(parts.at(wanted)))
    quantity = Quantity.SETTINGS if found.df_seeds else Quantity.MODELS
    return {**_ends(ends), "quantity": quantity, "p": p, "p_method": "inverted interval"}


def _leaves_out_0(found: Contrast) -> bool:
    return found.low is None or found.high is None or not found.low <= 0 <= found.high


def _of_runs(left: SettingOnTask, right: SettingOnTask, level: float) -> dict[str, object]:
    """One run a side: Bonett and Price's interval and McNemar's mid-p of 0/1 scores, the paired t of others."""
    [mine], [theirs] = left.scores, right.scores
    one, other = mine.answers, theirs.answers
    if one is None or other is None:
        return {}
    binary, unit = one.binary and other.binary, left.unit and right.unit
    if not (one.whole and other.whole and mine.whole and theirs.whole):
        found = _worst_case(one, other, level) if unit else None
        why = {} if found else {"why_not": f"scores are missing: {_unscored([mine, theirs])}"}
        return {**why, **_ends(found)}
    differences = _differences(one.scored(), other.scored())
    found = _interval(differences, level, binary=binary, unit=unit)
    p = mcnemar_mid_p(differences.count(1.0), differences.count(-1.0)) if binary else paired_t(differences)
    return {**_ends(found), "p": p, "p_method": None if p is None else "McNemar mid-p" if binary else "paired t"}


def _ends(found: Interval | None) -> dict[str, object]:
    return {"low": found.low, "high": found.high, "interval": found.method, "quantity": Quantity.MODELS} if found else {}


def _worst_case(one: SampleScores, other: SampleScores, level: float) -> Interval | None:
    worst = _interval(_differences(one.filled(0.0), other.filled(1.0)), level, binary=one.binary and other.binary, unit=True)
    return bounds(worst, _interval(_differences(one.filled(1.0), other.filled(0.0)), level, binary=one.binary and other.binary, unit=True))


def _differences(one: Mapping[object, float], other: Mapping[object, float]) -> list[float]:
    return [one[key] - other[key] for key in one]


def _interval(differences: Sequence[float], level: float, *, binary: bool, unit: bool) -> Interval | None:
    found = None if binary else intervals.t_interval(differences, "paired t", level)
    if found:
        return found.within(-1.0, 1.0) if unit else found
    return intervals.bonett_price(differences, level) if unit else None
