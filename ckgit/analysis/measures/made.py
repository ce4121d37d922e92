"""A measure of its parts."""

from __future__ import annotations

from ckgit.analysis.statistics.intervals import Interval
from ckgit.experiment.measured.measures import Measure

ALIKE = "its rows are all alike, or of one group: no interval is known to hold"


def made(name: str, value: float, ends: Interval | None, rows: int, note: str = "", *, label: str | None = None) -> Measure:
    """The measure with its interval, where there is one."""
    if ends is None:
        return Measure(name=name, label=label, value=value, rows=rows, note=note)
    return Measure(name=name, label=label, value=value, rows=rows, note=note, low=ends.low, high=ends.high, interval=ends.method)
