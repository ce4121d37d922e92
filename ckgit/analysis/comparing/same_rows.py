"""Rows that runs of several experiments have both answered, and the difference over them. Pure.

Ids are often no more than numbers of rows, and targets may be few: a row is the same where its id, its target and what it asks are. What
rows ask is not in older results, which are told by id and target alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from ckgit.analysis.scores import SampleScores, bounds, difference
from ckgit.analysis.statistics.contrast import ScoredSetting, Term, margins
from ckgit.analysis.statistics.intervals import LEVEL, Interval
from ckgit.experiment.claims.rows import ASKED_DIGITS
from ckgit.experiment.measured.long_texts import cut
from ckgit.experiment.results import CellResult

UNTOLD = "rows belong together, and these results are too old to say which: no interval would hold"


class KnownRow(NamedTuple):
    """What tells a row beside its id."""

    target: str | None  # as `results.json` has it: an older one has long ones whole
    asked: str  # the beginning of the digest of what it asks; empty where that is not known

    def is_that(self, other: KnownRow) -> bool:
        """Whether two are of one row, as far as both tell."""
        return self.target == other.target and (self.asked == other.asked or not self.asked or not other.asked)


def rows_in(cell: CellResult) -> dict[int | str, KnownRow]:
    """The rows of a cell by their ids."""
    whole = cell.asked if cell.asked and len(cell.asked) == ASKED_DIGITS * len(cell.samples) else ""
    asked = [whole[at * ASKED_DIGITS : (at + 1) * ASKED_DIGITS] for at in range(len(cell.samples))]
    return {sample.id: KnownRow(cut(sample.target), each) for sample, each in zip(cell.samples, asked, strict=True)}


def asked_again(cell: CellResult) -> int:
    """How many rows of a cell ask what another does; 0 where that is not known, and where all do, as then they differ in something else."""
    found = Counter(row.asked for row in rows_in(cell).values())
    return sum(count for count in found.values() if count > 1) if len(found) > 1 else 0


def shared_rows(cells: Sequence[CellResult]) -> list[int | str]:
    """Ids of the rows that all cells have, in the order of the first."""
    first, *others = map(rows_in, cells)
    return [key for key, row in first.items() if all(key in each and row.is_that(each[key]) for each in others)]


def clusters_in(cells: Sequence[CellResult], rows: Sequence[int | str]) -> list[Hashable] | None:
    """What each of these rows belongs to, as the first cell says that says it; None where none does."""
    for cell in cells:
        if cell.clusters and len(cell.clusters) == len(cell.samples):
            known = {sample.id: cluster for sample, cluster in zip(cell.samples, cell.clusters, strict=True)}
            return [known[row] for row in rows]
    return None


def paired(
    one: SampleScores, other: SampleScores, *, unit: bool, clusters: Sequence[Hashable] | None, level: float = LEVEL
) -> Interval | None:
    """The interval of one minus other, two models over the same rows in one order; None where their scores do not tell one.

    Args:
        unit: whether every score, the missing ones too, lies between 0 and 1.
        clusters: of each row what it belongs to, where rows belong together.
        level: coverage of the interval.
    """
    if clusters is None:
        return difference(one, other, paired=True, unit=unit, level=level)
    binary = one.numbers | other.numbers <= {0.0, 1.0}

    def of(left: float, right: float) -> Interval | None:
        sides = [ScoredSetting((tuple(each.filled(missing).values()),), trained=False) for each, missing in ((one, left), (other, right))]
        found = margins([Term(1.0, sides[0]), Term(-1.0, sides[1])], sides, level=level, unit=binary, clusters=clusters)
        ends = Interval(found.low, found.high, "CR2") if found.low is not None and found.high is not None else None
        return ends.within(-1.0, 1.0) if ends and unit else ends

    if one.whole and other.whole:
        return of(0.0, 0.0)
    return bounds(of(0.0, 1.0), of(1.0, 0.0)) if unit else None
