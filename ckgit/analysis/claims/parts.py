"""A claim about settings with what was measured for each of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ckgit.analysis.claims.measured import Side, targets
from ckgit.analysis.statistics.contrast import ScoredSetting
from ckgit.analysis.statistics.intervals import mean
from ckgit.experiment.claims.settings import SettingRuns
from ckgit.experiment.design.claim import Claim


class Part(NamedTuple):
    """A setting in a claim, with what its runs were measured at."""

    weight: float
    side: str
    along: float | None
    setting: SettingRuns
    runs: Sequence[Side]

    @property
    def score(self) -> float:
        """Mean over its runs."""
        return mean([run.value for run in self.runs])


@dataclass(frozen=True)
class Question:
    """A claim with all that was measured for it."""

    claim: Claim
    parts: Sequence[Part]
    others: Sequence[Part]  # settings of the experiment that the claim is not about
    unit: bool
    binary: bool
    clusters: Sequence[object] | None  # of each row what it belongs to, in the order of `rows_of`

    @property
    def whole(self) -> bool:
        """Whether every answer has a score."""
        return all(run.counted.whole for part in self.parts for run in part.runs)

    @property
    def row_scores(self) -> bool:
        """Whether the metric is the mean of scores by row, of the same rows in each run."""
        runs = [run for part in self.parts for run in part.runs]
        return all(same_rows(runs[0], run) for run in runs)


def rows_of(run: Side) -> list[int | str]:
    """Ids of the rows that a run answered, in one order for all runs."""
    return sorted(targets(run.cell), key=str)


def same_set(one: Side, other: Side) -> bool:
    """Whether two runs answered the same rows: of the same data, where that is known, with the same ids and targets."""
    return (None in (one.data, other.data) or one.data == other.data) and targets(one.cell) == targets(other.cell)


def same_rows(one: Side, other: Side) -> bool:
    """Whether two runs have scores by row, of the same rows."""
    return bool(one.answers and other.answers) and same_set(one, other)


def scored(part: Part, missing: float, *, any_seed: bool = True) -> ScoredSetting:
    """Scores of its runs by row, a number standing in for those that are missing.

    Args:
        any_seed: whether they stand for other seeds, too.
    """
    filled = [run.answers.filled(missing) for run in part.runs if run.answers]
    ids = rows_of(part.runs[0])
    return ScoredSetting(tuple(tuple(values[row] for row in ids) for values in filled), part.setting.trained and any_seed)
