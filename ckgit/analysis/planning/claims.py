"""What each claim of a design could show: the smallest difference, with so many rows and seeds, and what it cannot decide. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from ckgit.analysis.planning.pilot import Pilot
from ckgit.analysis.score_text import stated
from ckgit.analysis.statistics import power
from ckgit.analysis.statistics.design_effect import LEAST_CLUSTERS
from ckgit.analysis.statistics.power import TYPICAL, PlannedContrast, Spread
from ckgit.experiment.claims.settings import SettingRuns, chosen, runs_of, settings_of
from ckgit.experiment.claims.verdicts import Quantity
from ckgit.experiment.design.claim import Claim
from ckgit.experiment.design.model import Summary
from ckgit.experiment.design.plan import Plan, Run
from ckgit.experiment.measured.compared import RowClusters
from ckgit.experiment.outputs.designs import ClaimPower

WHAT_IF = (2, 3, 4, 5, 10)  # seeds of each setting
_UNIT = ("accuracy",)  # metrics whose scale is known without a pilot: right or wrong
_MUCH = 1.5  # so many times smaller is a difference with one seed more that is worth saying
_LIKELY = 0.5


class Beforehand(NamedTuple):
    """What is known before anything is run."""

    rows: Mapping[tuple[str, str], int]  # that a run is asked by a task, by their names; none where the task brings its own
    pilots: Mapping[int, Pilot] = MappingProxyType({})  # earlier results on the same task, by position of the claim
    variants: Mapping[str, int] = MappingProxyType({})  # by task how many will be scored on its rows, with those that the lab scored before
    clusters: Mapping[str, EarlierClusters] = MappingProxyType({})  # by task how its rows belonged together in an earlier experiment


class EarlierClusters(NamedTuple):
    """What an earlier experiment says of rows that belong together."""

    experiment: str
    found: RowClusters

    @property
    def enough(self) -> bool:
        """Whether there are so many clusters that their effect is known."""
        return self.found.clusters >= LEAST_CLUSTERS

    @property
    def effect(self) -> float:
        """By what factor a variance over rows is larger. That clusters would make it smaller is taken for chance."""
        return max(self.found.effect, 1.0)


class Planned(NamedTuple):
    """What a claim could show, and what speaks against it, a sentence each."""

    power: ClaimPower
    warnings: Sequence[str]


def planned_claims(summary: Summary, plan: Plan, known: Beforehand) -> list[Planned]:
    """Each claim of a design without problems, in their order."""
    found = [_planned(summary, plan, number, claim, known) for number, claim in enumerate(summary.experiment.claims, 1)]
    clusters = {task.name: task.clusters for task in summary.evaluation.tasks if task.clusters}
    together = [(claim.task, clusters.get(claim.task)) for claim in summary.experiment.claims]
    return [_as_clustered(each, column, known.clusters.get(task)) for each, (task, column) in zip(found, together, strict=True)]


def _as_clustered(planned: Planned, column: str | None, earlier: EarlierClusters | None) -> Planned:
    """How alike rows are that belong together is seen in results, and no formula for rows that each stand alone has it."""
    if planned.power.unknown or not column:
        return planned
    if earlier and earlier.enough:
        of = f"{earlier.found.clusters} clusters, design effect {earlier.effect:.2g}"
        assumed = f"{planned.power.assumed}; rows belong together by {column} as in {earlier.experiment}: {of}"
        return planned._replace(power=planned.power.model_copy(update={"assumed": assumed}))
    said = f"claim {planned.power.number}: rows belong together by {column}, and what it could show is said as if each stood alone"
    told = [*planned.warnings, f"{said}: the fewer and the more alike they are, the less it shows{_too_few(earlier)}"]
    return planned._replace(warnings=told)


def _too_few(earlier: EarlierClusters | None) -> str:
    if not earlier:
        return ""
    count = earlier.found.clusters
    known = f"a variance between {count} clusters has a standard error of {math.sqrt(2 / (count - 1)):.0%} of it"
    return f"; {earlier.experiment} has these rows in too few clusters to tell how much: {known}, and {LEAST_CLUSTERS} are asked for"


def _planned(summary: Summary, plan: Plan, number: int, claim: Claim, beforehand: Beforehand) -> Planned:
    rows, pilot = beforehand.rows, beforehand.pilots.get(number - 1)
    evaluated = {cell.run for cell in plan.cells if cell.task.name == claim.task}
    runs = [run for run in runs_of(claim, plan.runs) if run.name in evaluated]
    asked = min((rows.get((run.name, claim.task), 0) for run in runs), default=0)
    together = beforehand.clusters.get(claim.task)
    together = together if together and together.enough else None
    quantity = Quantity.MODELS if claim.pair else Quantity.SETTINGS
    shows: Literal["difference", "margin", "slope"] = "slope" if claim.trend else "margin" if claim.direction == "same" else "difference"
    known = ClaimPower(number=number, says=stated(claim), quantity=quantity, shows=shows, rows=asked or None)
    if why := _unknown(claim, asked, pilot):
        return Planned(known.model_copy(update={"unknown": why}), ())
    spread = pilot.spread if pilot else TYPICAL
    if claim.pair:
        alone = power.rows_alone(asked, together.effect, together.found.clusters) if together else asked
        found = known.model_copy(update={"smallest": _smallest_of_models(claim, alone, spread), "assumed": _assumed(pilot)})
        return Planned(found, [f"claim {number}: {text}" for text in _doubts_of_models(claim, alone, spread, found)])
    settings = settings_of([run for run in plan.runs if run.name in evaluated], summary.parameters)
    compared = max(len(settings_in(claim, settings)), beforehand.variants.get(claim.task, 0)) if claim.best else None
    apart = _contrast(claim, settings, runs, asked, compared or 1)
    apart = apart._replace(effect=together.effect, df_rows=together.found.clusters - 1) if together else apart
    found = known.model_copy(
        update={
            "seeds": tuple(sorted({*apart.seeds})),
            "compared": compared,
            "smallest": None if apart.weights and apart.unpooled else _smallest(claim, apart, spread),
            "by_seeds": {count: _smallest(claim, apart.with_seeds(count), spread) for count in WHAT_IF} if apart.weights else {},
            "assumed": _assumed(pilot) + (f"; the best of {compared} on these rows, earlier ones included" if compared else ""),
        }
    )
    return Planned(found, [f"claim {number}: {text}" for text in _doubts(claim, apart, spread, found)])


def _unknown(claim: Claim, rows: int, pilot: Pilot | None) -> str:
    if rows < 2:  # noqa: PLR2004 - no row varies alone
        return f"task {claim.task} brings its own rows, so how many there are is not known"
    if pilot is None and claim.metric not in _UNIT:
        return f"how much {claim.metric} varies is not known: no earlier experiment of this lab has it with several seeds of one setting"
    return ""


def _assumed(pilot: Pilot | None) -> str:
    """Where the variances are from."""
    if pilot:
        of = f"{pilot.runs} trainings of {pilot.settings} setting{'s' if pilot.settings > 1 else ''}"
        return f"as seeds and rows differ in {pilot.experiment}, {of}: SD between seeds {pilot.spread.seeds:.2g}"
    return (
        f"assumed, as no earlier experiment tells: accuracy near 0.6, SD between seeds {TYPICAL.seeds:g}, "
        f"two seeds of a setting disagree on {2 * TYPICAL.within:.0%} of rows"
    )


def _contrast(claim: Claim, settings: Sequence[SettingRuns], runs: Sequence[Run], rows: int, compared: int) -> PlannedContrast:
    """The settings of a claim with their weights, and the seeds of all others.

    Args:
        compared: for how many the interval is corrected.
    """
    weights = _slope(claim, settings, runs) if claim.trend else _sides(claim, settings)
    own = [(weight, each) for each in settings if (weight := weights.get(each.name))]
    trained = [(weight, each.seeds) for weight, each in own if each.trained]
    return PlannedContrast(
        rows=rows,
        weights=tuple(weight for weight, _ in trained),
        seeds=tuple(count for _, count in trained),
        fixed=tuple(weight for weight, each in own if not each.trained),
        others=tuple(each.seeds for each in settings if each.trained and each.name not in weights),
        level=1 - 0.05 / compared,
        trend=claim.trend,
    )


def settings_in(claim: Claim, settings: Sequence[SettingRuns]) -> list[SettingRuns]:
    """Those of the settings that left names."""
    return [each for each in settings if claim.left is not None and chosen(claim.left, each.runs)]


def _sides(claim: Claim, settings: Sequence[SettingRuns]) -> dict[str, float]:
    """Left's settings weigh alike, and so do right's; of the best of several one stands for each, as each is compared."""
    found: dict[str, float] = {}
    for sign, side in ((1.0, claim.left), (-1.0, claim.right)):
        of_side = [each.name for each in settings if side is not None and chosen(side, each.runs)]
        of_side = of_side[:1] if claim.best and sign > 0 else of_side
        found |= {name: sign / len(of_side) for name in of_side}
    return found


def _slope(claim: Claim, settings: Sequence[SettingRuns], runs: Sequence[Run]) -> dict[str, float]:
    """Weights of a line's slope over the parameter's values."""
    names = {run.name for run in runs}
    values = {each.name: float(each.runs[0][str(claim.along)]) for each in settings if each.runs[0].name in names}
    mean = sum(values.values()) / len(values)
    squares = sum((value - mean) ** 2 for value in values.values())
    return {name: (value - mean) / squares for name, value in values.items()}


def _smallest(claim: Claim, apart: PlannedContrast, spread: Spread) -> float:
    if claim.direction == "same":
        return power.smallest_margin(apart, spread)
    return power.smallest_difference_of(apart, spread, claim.by)


def _smallest_of_models(claim: Claim, rows: int, spread: Spread) -> float:
    if claim.direction == "same":
        return power.smallest_margin_of_models(rows, spread)
    return power.smallest_of_models(rows, spread, claim.by)


def _doubts_of_models(claim: Claim, alone: int, spread: Spread, found: ClaimPower) -> Iterator[str]:
    if claim.direction == "same" and (often := power.power_of_same_models(alone, spread, claim.by)) < _LIKELY:
        as_few = "" if alone == found.rows else f", which belong together and show as much as {alone} that each stand alone,"
        yield _hardly_same(claim, often, f"runs that are exactly equal would {{}}; {found.rows} rows{as_few} find them", found)


def _hardly_same(claim: Claim, often: float, said: str, found: ClaimPower) -> str:
    share = f"in {often:.0%} of experiments" if often >= 0.005 else "next to never"  # noqa: PLR2004 - rounds to 1 %
    told = said.format(f"{share} be found the same within {claim.by:g}")
    return f"it cannot be decided: {told} the same within {found.smallest:.2g}, four times in five"


def _doubts(claim: Claim, apart: PlannedContrast, spread: Spread, found: ClaimPower) -> Iterator[str]:
    if apart.weights and apart.unpooled:
        could = found.by_seeds[3]
        yield f"it is about settings, and each is trained with one seed: nothing can be shown of settings; 3 seeds could show {could:.2g}"
        return
    if len({*apart.seeds}) > 1:
        yield f"its settings have {' and '.join(map(str, found.seeds))} seeds: plan as many of each"
    if found.smallest is not None and min(apart.seeds, default=0) > 1 and len({*apart.seeds}) == 1:
        more = apart.seeds[0] + 1
        better = _smallest(claim, apart.with_seeds(more), spread)
        if found.smallest - claim.by > _MUCH * (better - claim.by) and claim.direction != "same":
            what = f"{apart.seeds[0]} seeds tell little of how much seeds differ"
            yield f"{what}: {more} of each could show {better:.2g}, not {found.smallest:.2g}"
    if claim.direction == "same" and (often := power.power_of_same(apart, spread, claim.by)) < _LIKELY:
        yield _hardly_same(claim, often, f"settings that are exactly equal would {{}}; {apart.rows} rows and these seeds find them", found)
    elif claim.metric in _UNIT and not claim.trend and found.smallest is not None and found.smallest >= 1:
        yield f"it cannot be decided: it would take a true difference of {found.smallest:.2g}, and none is larger than 1"
