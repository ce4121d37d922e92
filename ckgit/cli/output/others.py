"""Who else goes on with an experiment, in words: whoever left it to its cluster, and whoever took it on elsewhere; or that it is over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ckgit.cli.output.tables import printable, wrapped
from ckgit.experiment.classify import left_by_in_words
from ckgit.experiment.state import Kept
from ckgit.formats.times import local

if TYPE_CHECKING:
    from ckgit.experiment.jobs import Ledger
    from ckgit.lab.history.closings import Closing


def others(ledger: Ledger | None, ahead: Sequence[str]) -> Iterator[str]:
    """One paragraph each.

    Args:
        ahead: a sentence on each remote's branch that has commits which the local one lacks.
    """
    if ledger and (left := ledger.detached):
        yield wrapped(printable(f"left to job {left.token} of cluster {ledger.cluster}; {left_by_in_words(left.left_by)}"), 2)
    yield from (wrapped(line, 2) for line in ahead)


def over(closing: Closing | None, kept: Kept | None) -> list[str]:
    """That an experiment is closed and why, and what has it where its branch is gone."""
    has = {Kept.CLOSED: "its branch is gone; what keeps closed ones has it", Kept.MERGED: "its branch is gone; the default branch has it"}
    why = [f"closed on {local(closing.date)}: {printable(closing.because)}"] if closing else []
    return [*why, *([has[kept]] if kept else [])]
