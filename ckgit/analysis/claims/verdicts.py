"""Verdicts on claims about settings, in words and numbers. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from ckgit.analysis.claims.decide import decide
from ckgit.analysis.claims.measured import Side
from ckgit.analysis.claims.parts import Part, Question, rows_of
from ckgit.analysis.statistics.contrast import SEEDS, Contrast, ScoredSetting
from ckgit.analysis.statistics.intervals import mean
from ckgit.experiment.claims.verdicts import Judgement, Quantity, SettingScores, Verdict

ANY_SEED = "any seed, on rows like these"
THESE_ROWS = "any seed, on exactly these rows"
_FEW_CLUSTERS = 10


def verdict_of(
    question: Question, found: Contrast | None, unknown: str, missing: Sequence[str], *, level: float, parts: Sequence[Part] | None = None
) -> Verdict:
    """The verdict on a claim.

    Args:
        found: the interval; None where there is none, for a reason that is `unknown`.
        missing: what was not measured of its settings.
        level: coverage of the interval.
        parts: those that it is about, where these are not all of the claim's.
    """
    claim, parts = question.claim, parts or question.parts
    quantity = _quantity(found)
    settled = found is not None and found.low is not None and found.high is not None
    judgement, reason = decide(claim, found.low, found.high) if found and settled else (Judgement.UNDECIDED, unknown)  # type: ignore[arg-type]
    value = math.fsum(part.weight * part.score for part in parts)
    runs = [run for part in parts for run in part.runs]
    return Verdict(
        claim=claim,
        judgement=judgement,
        about=_about(quantity, parts),
        reason="; ".join([reason, _seeds(parts), *_coverage(runs)]),
        left=_mean_of(parts, "left"),
        right=_mean_of(parts, "right"),
        difference=None if claim.trend and not any(part.weight for part in parts) else value,
        low=found.low if found else None,
        high=found.high if found else None,
        interval=found.method if found else None,
        samples=min(len(rows_of(run)) for run in runs),
        paired=question.row_scores,
        quantity=quantity,
        level=level,
        settings=tuple(scores_of(part) for part in question.parts),
        notes=(*missing, *_notes(question, found, parts)),
    )


def _mean_of(parts: Sequence[Part], side: str) -> float | None:
    found = [part.score for part in parts if part.side == side]
    return mean(found) if found else None


def _quantity(found: Contrast | None) -> Quantity:
    if found and found.method == SEEDS:
        return Quantity.ROWS
    return Quantity.SETTINGS if found and found.df_seeds else Quantity.MODELS


def _about(quantity: Quantity, parts: Sequence[Part]) -> str:
    if quantity is Quantity.SETTINGS:
        return ANY_SEED
    if quantity is Quantity.ROWS:
        return THESE_ROWS
    count = sum(len(part.runs) for part in parts)
    return f"these {count} models; another seed may differ" if any(part.setting.trained for part in parts) else f"these {count} runs"


def _seeds(parts: Sequence[Part]) -> str:
    """`3+3 seeds`."""
    counted = [str(len(part.runs)) for part in parts if part.setting.trained]
    return f"{'+'.join(counted)} seed{'' if counted == ['1'] else 's'}" if counted else "nothing was trained"


def _coverage(runs: Sequence[Side]) -> list[str]:
    told = [f"{run.name}: {run.counted}" for run in runs if not run.counted.whole]
    return [f"{', '.join(told)}, the missing ones taken at worst and at best"] if told else []


def scores_of(part: Part, interval: Contrast | None = None) -> SettingScores:
    """What the results keep of a setting; of the best of several with its own interval."""
    scores = tuple(run.value for run in part.runs)
    several = part.setting.trained and len(scores) > 1
    return SettingScores(
        setting=part.setting.name,
        side=part.side,  # type: ignore[arg-type]
        along=part.along,
        runs=tuple(run.name for run in part.runs),
        scores=scores,
        sd=math.sqrt(ScoredSetting(tuple((score,) for score in scores)).seed_variance) if several else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
    )


def _notes(question: Question, found: Contrast | None, parts: Sequence[Part]) -> list[str]:
    """What was assumed or borrowed, a sentence each."""
    if found is None:
        return []
    trained = [part for part in parts if part.setting.trained]
    counts = {len(part.runs) for part in trained}
    alike = [part.setting.name for part in trained if len(part.runs) > 1 and _agree({run.value for run in part.runs}, unit=question.unit)]
    few = len(set(question.clusters)) if question.clusters else 0
    one = "a row" if question.clusters is None else "a group of rows"
    return [
        *(["the spread between seeds is borrowed from other settings of the experiment"] if found.borrowed else []),
        *([f"a run has fewer than 5 right or 5 wrong, or no two rows differ: {one} of each extreme was added"] if found.two_rows else []),
        *([f"seeds of {' and '.join(alike)} agree exactly: the seed may not reach the training"] if alike else []),
        *(["the settings have different numbers of seeds, for which the interval may be too narrow"] if len(counts) > 1 else []),
        *([f"rows belong to {few} groups, which are few: the interval is wide with reason"] if 0 < few < _FEW_CLUSTERS else []),
    ]


def _agree(values: AbstractSet[float], *, unit: bool) -> bool:
    """Whether seeds came out the same where that is no ceiling or floor."""
    return len(values) == 1 and not (unit and values <= {0.0, 1.0})
