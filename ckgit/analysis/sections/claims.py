"""The claims with what became of each: effect, interval, method, rows, seeds; and the run scores behind those about settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckgit.analysis.score_text import OF_CLAIMS, compared, difference, judged, stated
from ckgit.analysis.scores import ScoredCount
from ckgit.experiment.claims.verdicts import Judgement, Quantity, SettingScores, Verdict
from ckgit.experiment.results import place_of_checkpoint
from ckgit.formats.listing import first_of
from ckgit.formats.markdown import NOTHING, number, table

MOST_SCORES = 12  # runs of a setting that are listed
ABOUT = {
    Quantity.MODELS: "these models, rows like these",
    Quantity.ROWS: "these settings, any seed, exactly these rows",
    Quantity.SETTINGS: "these settings, any seed, rows like these",
}
_HEADER = ("verdict", "claim", "left", "right", OF_CLAIMS, "method", "rows", "runs", "why")


def claims_section(verdicts: Sequence[Verdict]) -> str:
    """The section; empty without claims."""
    if not verdicts:
        return ""
    counts = ", ".join(f"{count} {kind}" for kind in Judgement if (count := sum(v.judgement is kind for v in verdicts)))
    parts = ["## Claims", table(_HEADER, map(_row, verdicts))]
    parts.append(
        f"{counts}. The difference is left minus right. What is in its interval the verdict begins with; it is a 95 % one where no "
        "other coverage stands beside it. “How the numbers are made” has the rule."
    )
    if len(verdicts) > 1:
        parts.append(
            f"Each of the {len(verdicts)} intervals is its claim's own: the more claims there are, the likelier one is supported by "
            "chance. Of settings that are equal that comes to one in 40 for each claim of greater or less."
        )
    behind = [row for number_, verdict in enumerate(verdicts, start=1) for row in _settings(number_, verdict)]
    if behind:
        parts += ["### Run scores behind the claims", table(("claim", "side", "setting", "scores of its runs", "seed SD"), behind)]
    return "\n\n".join(parts)


def _row(verdict: Verdict) -> list[str]:
    sides = [
        _side(verdict.left, place_of_checkpoint(verdict.left_epoch, verdict.left_checkpoint), verdict.left_scored, verdict.left_asked),
        _side(verdict.right, place_of_checkpoint(verdict.right_epoch, verdict.right_checkpoint), verdict.right_scored, verdict.right_asked),
    ]
    why = "; ".join([verdict.reason, *verdict.notes])
    method = verdict.interval or NOTHING
    return [judged(verdict), stated(verdict.claim), *sides, difference(verdict), method, compared(verdict), runs_of_sides(verdict), why]


def runs_of_sides(verdict: Verdict) -> str:
    """How many runs are on each side: `3 + 3`."""
    counts = [sum(len(each.runs) for each in verdict.settings if each.side == side) for side in ("left", "right", "along")]
    known = [str(count) for count in counts if count]
    return " + ".join(known) if known else NOTHING if verdict.difference is None else "1 + 1"


def _side(value: float | None, place: str, scored: int | None, asked: int | None) -> str:
    text = number(value) + (f" ({place})" if place else "")
    return text if scored is None or asked is None or scored >= asked else f"{text} ({ScoredCount(scored, asked)})"


def _settings(place: int, verdict: Verdict) -> Iterator[list[str]]:
    for each in verdict.settings:
        yield [str(place), each.side, each.setting, scores_text(each.scores), _spread(each)]


def _spread(setting: SettingScores) -> str:
    return "unknown: one run" if setting.sd is None and len(setting.runs) == 1 else number(setting.sd)


def scores_text(scores: Sequence[float]) -> str:
    """Scores of runs, one after the other."""
    return ", ".join(first_of((number(score) for score in scores), MOST_SCORES))
