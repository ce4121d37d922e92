"""How far jobs are, in words: the same on a terminal while they run and in `ckgit status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckgit.cli.output.tables import printable
from ckgit.formats.listing import plural
from ckgit.formats.numbers import clock

if TYPE_CHECKING:
    from ckgit.experiment.outputs.events import JobProgress, OverallProgress


class JobCells(NamedTuple):
    """What is told of a running job; empty where it is not known."""

    job: str
    step: str  # or that it is loading, and for how long
    loss: str
    rate: str
    left: str


def headline(found: OverallProgress) -> str:
    """The whole: `3 of 9 jobs, 1 failed, 4:10 left`."""
    parts = [f"{found.done} of {plural(found.total, 'job')} done"]
    parts += [f"{found.failed} failed"] if found.failed else []
    parts += [f"about {clock(found.seconds_left)} left"] if found.seconds_left is not None else []
    return ", ".join(parts)


def cells(found: JobProgress) -> JobCells:
    """One running job. What a tool's worker calls its steps is foreign text."""
    if found.loading or found.step is None:
        return JobCells(found.job, f"loading {clock(found.elapsed)}", "", "", "")
    step = (f"{found.step}/{found.steps}" if found.steps else str(found.step)) + (f" {printable(found.note)}" if found.note else "")
    loss = f"loss {found.loss:.4g}" if found.loss is not None else ""
    if found.step == found.steps:  # it saves what it has made
        return JobCells(found.job, step, loss, "", "finishing")
    left = f"{clock(found.seconds_left)} left" if found.seconds_left is not None else ""
    return JobCells(found.job, step, loss, _rate(found.rate) if found.rate else "", left)


def lines(found: OverallProgress, room: int | None = None) -> list[str]:
    """A line for each running job, without a terminal's bars; where it is narrow, without rate and then without loss."""
    rows = [cells(job) for job in found.jobs]
    for left_out in ("", "rate", "loss"):
        rows = [row._replace(**{left_out: ""}) for row in rows] if left_out else rows
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        told = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width).rstrip() for row in rows]
        if room is None or max(map(len, told), default=0) <= room:
            break
    return told


def _rate(steps: float) -> str:
    """`2.5/s`, and of slow steps `12 s each`."""
    return f"{steps:.3g}/s" if steps >= 1 else f"{1 / steps:.3g} s each"
