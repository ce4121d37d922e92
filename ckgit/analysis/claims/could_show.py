"""What an undecided claim would have taken, by the spread that its own runs show. Pure."""

from __future__ import annotations

import math

from ckgit.analysis.claims.parts import Question, scored
from ckgit.analysis.statistics.contrast import sum_of_squares
from ckgit.analysis.statistics.power import PlannedContrast, Spread, smallest_difference_of
from ckgit.experiment.claims.verdicts import Judgement, Quantity, Verdict

_MORE_SEEDS = 5
_MIDDLE = 0.5  # for a missing score: halfway


def explained(verdict: Verdict, question: Question) -> Verdict:
    """The verdict with how large a difference would have been found, where it is undecided and about settings."""
    wanted = verdict.judgement is Judgement.UNDECIDED and verdict.quantity is Quantity.SETTINGS and verdict.claim.direction != "same"
    if not wanted or verdict.claim.best or verdict.low is None or question.clusters:
        return verdict  # what is drawn has rows that each stand alone
    contrast, spread = _planned(question, verdict.level), _spread(question)
    if not any(spread):
        return verdict  # answers that are all alike say nothing of how others would vary
    seeds = max(contrast.seeds)
    told = [f"80 % power takes a true {smallest_difference_of(contrast, spread, verdict.claim.by):.2g}"]
    if seeds < _MORE_SEEDS:
        more = smallest_difference_of(contrast.with_seeds(_MORE_SEEDS), spread, verdict.claim.by)
        told.append(f"with {_MORE_SEEDS} seeds {more:.2g}")
    return verdict.model_copy(update={"reason": f"{verdict.reason}; {', '.join(told)}"})


def _planned(question: Question, level: float) -> PlannedContrast:
    trained = [part for part in question.parts if part.setting.trained]
    return PlannedContrast(
        rows=len(scored(question.parts[0], _MIDDLE).row_means),
        weights=tuple(part.weight for part in trained),
        seeds=tuple(len(part.runs) for part in trained),
        fixed=tuple(part.weight for part in question.parts if not part.setting.trained),
        others=tuple(len(part.runs) for part in question.others if part.setting.trained),
        level=level,
        trend=question.claim.trend and all(len(part.runs) > 1 for part in trained),
    )


def _spread(question: Question) -> Spread:
    """The components of variance as the runs show them."""
    parts = [(part.weight, scored(part, _MIDDLE)) for part in question.parts]
    known = [each for each in (*(each for _, each in parts), *(scored(part, _MIDDLE) for part in question.others)) if each.df]
    df, rows = sum(each.df for each in known), len(parts[0][1].row_means)
    within = math.fsum(each.df * each.row_noise for each in known) / df
    seeds = math.fsum(each.df * each.seed_variance for each in known) / df
    sums = [math.fsum(weight * each.row_means[row] for weight, each in parts) for row in range(rows)]
    noise = within * math.fsum(weight**2 / len(each.runs) for weight, each in parts if each.trained)
    own = max(sum_of_squares(sums) / max(rows - 1, 1) - noise, 0.0)
    return Spread(math.sqrt(max(seeds - within / rows, 0.0)), within, 2 * own / math.fsum(weight**2 for weight, _ in parts))
