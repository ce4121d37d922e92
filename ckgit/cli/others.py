"""Who else goes on with an experiment, in words: whoever left it to its cluster, and whoever took it on elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ckgit.cli.tables import printable, wrapped
from ckgit.experiment.classify import left_by_in_words

if TYPE_CHECKING:
    from ckgit.experiment.jobs import Ledger


def others(ledger: Ledger | None, ahead: Sequence[str]) -> Iterator[str]:
    """One paragraph each.

    Args:
        ahead: a sentence on each remote's branch that has commits which the local one lacks.
    """
    if ledger and (left := ledger.detached):
        yield wrapped(printable(f"left to job {left.token} of cluster {ledger.cluster}; {left_by_in_words(left.left_by)}"), 2)
    yield from (wrapped(line, 2) for line in ahead)
