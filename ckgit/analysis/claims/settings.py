"""Judging claims about settings: over every run that has them, for any seed.

An interval has the chance of rows and of training seeds in it, each as far as the runs tell of it: see `statistics/contrast.py`. Where no
setting was trained with two seeds, a verdict is about the trained models alone. Scores that are missing are taken at worst and at best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ckgit.analysis.claims.could_show import explained
from ckgit.analysis.claims.decide import decide, level_of
from ckgit.analysis.claims.measured import Absent, Measured, Side
from ckgit.analysis.claims.parts import Part, Question, rows_of, same_rows, same_set, scored
from ckgit.analysis.claims.verdicts import scores_of, verdict_of
from ckgit.analysis.scores import WORST_CASE, on_unit_scale
from ckgit.analysis.statistics.contrast import Contrast, ScoredSetting, Term, margins, seeds_alone
from ckgit.analysis.statistics.intervals import mean
from ckgit.experiment.claims.settings import SettingRuns, chosen, runs_of
from ckgit.experiment.claims.verdicts import Judgement, Verdict
from ckgit.experiment.design.claim import Claim, side_in_words
from ckgit.experiment.design.plan import Run
from ckgit.formats.listing import in_words

_LEAST_DF = 2  # of the spread between seeds, where nothing else is in an interval
_LEAST_VALUES = 3  # of a trend: a line goes through any two
_EDGE = 0.05  # so near to 0 or 1 a share's spread between seeds tells little


def one_run_a_side(claim: Claim, planned: Sequence[Run], measured: Measured) -> tuple[Run, Run] | None:
    """The two runs of a claim whose sides are one run each, while no setting of the experiment has two seeds; None otherwise."""
    sides = [chosen(side, planned) for side in claim.sides]
    trained = [run for run in planned if run.trains]
    seeds = {run["seed"] for run in trained}
    if claim.trend or len(seeds) > 1 or [len(side) for side in sides] != [1, 1] or measured.clusters:
        return None
    return sides[0][0], sides[1][0]


def judge(claim: Claim, planned: Sequence[Run], settings: Sequence[SettingRuns], measured: Measured, variants: int) -> Verdict:
    """What the results say of a claim about settings.

    Args:
        planned: all runs of the experiment.
        settings: the same, by their settings.
        variants: how many the lab has scored on these rows; 0 where that was not counted.
    """
    parts, absent = _parts(claim, planned, settings, measured)
    if isinstance(absent, str):
        return Verdict(claim=claim, judgement=Judgement.IMPOSSIBLE, reason=absent)
    names = {run.name for run in runs_of(claim, planned)}
    others = [part for part in (_part(0.0, "", None, setting, measured)[0] for setting in settings) if part.runs]
    runs = [run for part in parts for run in part.runs]
    outside = [part for part in others if not names & {run.name for run in part.setting.runs} and _alike(part, runs[0])]
    answers = [run.answers for run in runs if run.answers]
    question = Question(
        claim,
        parts,
        outside,
        unit=all(on_unit_scale(run.metric, *answers) for run in runs),
        binary=bool(answers) and all(each.numbers <= {0.0, 1.0} for each in answers),
        clusters=_clusters(runs, measured),
    )
    return _best(question, variants, absent) if claim.best else _single(question, absent)


def _alike(part: Part, first: Side) -> bool:
    """Whether the spread of a setting's seeds may stand in for that of a claim's own."""
    return all(same_rows(run, first) if first.answers else not run.answers for run in part.runs)


def _parts(claim: Claim, planned: Sequence[Run], settings: Sequence[SettingRuns], measured: Measured) -> tuple[list[Part], str | list[str]]:
    """The settings of a claim with their weights, and what is missing of them; or why it cannot be judged at all."""
    sides = [("left", claim.left, 1.0), ("right", claim.right, -1.0)] if not claim.trend else [("along", claim.left, 1.0)]
    found: list[Part] = []
    missing: list[str] = []
    for side, named, sign in sides:
        runs = {run.name for run in (chosen(named, planned) if named is not None else [run for run in planned if run.trains])}
        own = [SettingRuns(each.name, kept) for each in settings if (kept := tuple(run for run in each.runs if run.name in runs))]
        if not own:
            return [], f"no run has {side_in_words(named)}"
        for setting in own:
            part, lacking = _part(sign / len(own), side, _along(claim, setting), setting, measured)
            if not part.runs:
                undefined = "; ".join(lacking)
                return [], undefined
            found.append(part)
            missing += lacking
    if not claim.trend:
        return found, missing
    without = [part.setting.name for part in found if part.along is None]
    missing += [f"{claim.along} of {in_words(without)} is no number, so it is not in the slope"] if without else []
    return _sloped([part for part in found if part.along is not None] or found), missing


def _part(weight: float, side: str, along: float | None, setting: SettingRuns, measured: Measured) -> tuple[Part, list[str]]:
    sides = [measured.of(run.name) for run in setting.counted]
    there = [each for each in sides if isinstance(each, Side)]
    again = [run.name for run in setting.again]
    lacking = [each.reason for each in sides if isinstance(each, Absent)]
    lacking += [f"{in_words(again)}: left out, as the same seed of the same setting says nothing of other seeds"] if again else []
    return Part(weight, side, along, setting, there), lacking


def _along(claim: Claim, setting: SettingRuns) -> float | None:
    value = setting.runs[0][claim.along] if claim.along else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _sloped(parts: Sequence[Part]) -> list[Part]:
    """Least squares over the settings: c = (x - x̄)/Σ(x - x̄)²; of fewer than three values no weight at all."""
    known = [part.along for part in parts if part.along is not None]
    middle = mean(known) if known else 0.0
    square = math.fsum((x - middle) ** 2 for x in known)
    if len({*known}) < _LEAST_VALUES:
        return [part._replace(weight=0.0) for part in parts]
    return [part._replace(weight=(part.along - middle) / square) for part in parts if part.along is not None]


def _clusters(runs: Sequence[Side], measured: Measured) -> list[object] | None:
    found = measured.clusters_of(runs[0].cell)
    return [found[row] for row in rows_of(runs[0])] if found else None


def _single(question: Question, missing: Sequence[str]) -> Verdict:
    claim = question.claim
    found, unknown = _contrast(question, question.parts, level_of(claim))
    return explained(verdict_of(question, found, unknown, missing, level=level_of(claim)), question)


def _best(question: Question, variants: int, missing: Sequence[str]) -> Verdict:
    """The best of several settings: an interval for each against the right side, corrected for how many there are (Bonferroni)."""
    claim = question.claim
    right = [part for part in question.parts if part.side == "right"]
    left = [part._replace(weight=1.0) for part in question.parts if part.side == "left"]  # each by itself
    compared = max(len(left), variants)
    level = level_of(claim, compared)
    found = [(part, *_contrast(question, [part, *right], level)) for part in left]
    sign = 1 if claim.direction == "greater" else -1
    judged = {part.setting.name: _decided(claim, each) for part, each, _ in found}
    # one that is supported is enough, whatever the others' means are; its own numbers stand beside it
    best, contrast, unknown = max(found, key=lambda each: (judged[each[0].setting.name] is Judgement.SUPPORTED, sign * each[0].score))
    verdict = verdict_of(question, contrast, unknown, missing, level=level, parts=[best, *right])
    intervals = {part.setting.name: each for part, each, _ in found if each}
    reasons = [verdict.reason, f"corrected for {compared} that were compared (Bonferroni)"]
    judgement = verdict.judgement
    beside = [name for name, each in judged.items() if each is not Judgement.NOT_SUPPORTED]
    if judgement is Judgement.NOT_SUPPORTED and beside:
        judgement = Judgement.UNDECIDED
        reasons.insert(0, f"{in_words(beside)} may be greater still" if sign > 0 else f"{in_words(beside)} may be less still")
    listed = [scores_of(part, intervals.get(part.setting.name) if part.side == "left" else None) for part in question.parts]
    update = {"judgement": judgement, "best": best.setting.name, "compared": compared, "settings": tuple(listed)}
    return verdict.model_copy(update={**update, "reason": "; ".join(reasons)})


def _decided(claim: Claim, found: Contrast | None) -> Judgement:
    known = found is not None and found.low is not None and found.high is not None
    return decide(claim, found.low, found.high)[0] if found and known else Judgement.UNDECIDED  # type: ignore[arg-type] # both are known


def _contrast(question: Question, parts: Sequence[Part], level: float) -> tuple[Contrast | None, str]:
    """The weighted sum of the settings' scores with its interval, or why there is none."""
    if not any(part.weight for part in parts):
        return None, f"{question.claim.along} has fewer than {_LEAST_VALUES} values that are numbers"
    if not question.row_scores:
        return _over_seeds(question, parts, level)
    if question.whole:
        together = question.clusters is not None and len({*question.clusters}) < 2  # noqa: PLR2004 - one says nothing of others
        alike = "all rows belong together" if together else "each row differs by the same amount"
        unknown = f"{alike}, which does not say what other rows would show"
        return _known(_margins(question, parts, level, lambda part: 0.0)), unknown  # noqa: ARG005
    if not question.unit:
        return None, "scores are missing, and the scale of this score is not known"
    worst = _margins(question, parts, level, lambda part: 0.0 if part.weight > 0 else 1.0)
    best = _margins(question, parts, level, lambda part: 1.0 if part.weight > 0 else 0.0)
    if worst.low is None or best.high is None:
        return None, "the scores of the rows do not spread"
    value = math.fsum(part.weight * part.score for part in parts)
    return worst._replace(value=value, high=best.high, method=f"{worst.method}, {WORST_CASE}"), ""


def _known(found: Contrast) -> Contrast | None:
    return found if found.low is not None else None


def _margins(question: Question, parts: Sequence[Part], level: float, missing: Callable[[Part], float]) -> Contrast:
    any_seed = question.claim.pair is None
    terms = [Term(part.weight, scored(part, missing(part), any_seed=any_seed)) for part in parts]
    named = {part.setting.name for part in parts}
    rest = [part for part in (*question.parts, *question.others) if part.setting.name not in named]
    pool = [*(term.setting for term in terms), *(scored(part, 0.5) for part in rest)]
    own = question.claim.trend
    found = margins(terms, pool, level=level, unit=question.binary, clusters=question.clusters, own_spreads=own)
    if question.unit and not question.claim.trend and found.low is not None and found.high is not None:
        found = found._replace(low=max(found.low, -1.0), high=min(found.high, 1.0))  # no two shares differ by more
    # the score itself is the mean of the rows, whatever was added for the interval
    return found._replace(value=math.fsum(part.weight * part.score for part in parts))


def _over_seeds(question: Question, parts: Sequence[Part], level: float) -> tuple[Contrast | None, str]:
    """Of a metric that is no mean over rows, or of other rows in each run: what seeds alone tell."""
    runs = [run for part in parts for run in part.runs]
    other = not all(same_set(runs[0], run) for run in runs)
    why = "the runs answered different rows" if other else f"{question.claim.metric} is not a mean of the rows' scores"
    if other or not question.whole:
        return None, why if question.whole else f"{why}, and some are missing"
    terms = [Term(part.weight, ScoredSetting(tuple((run.value,) for run in part.runs), part.setting.trained)) for part in parts]
    pool = [ScoredSetting(tuple((run.value,) for run in part.runs), part.setting.trained) for part in (*question.parts, *question.others)]
    found = seeds_alone(terms, pool, level=level)
    if found is None or found.low is None:
        return None, f"{why}, and no two seeds tell how it varies"
    near = any(not _EDGE < part.score < 1 - _EDGE for part in parts) if question.unit else False
    if (found.df_seeds or 0) < _LEAST_DF or near:
        return None, f"{why}, and so few seeds{' so near to 0 or 1' if near else ''} do not tell how it varies"
    return found, ""
