"""Who is ahead of an experiment's branch: what remotes' branches have, as they were last fetched, and the local one lacks."""

from __future__ import annotations

from collections.abc import Sequence

from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.snapshot import Snapshot


def told_ahead(lab: Lab, snapshot: Snapshot) -> Sequence[str]:
    """A sentence on each remote's branch that has commits which the local one lacks."""
    if set(snapshot.remotes.values()) <= {snapshot.tip}:
        return []  # and nothing more is imported: status has 0.2 s
    from ckgit.lab.remotes.upstream import ahead

    found = ahead(lab, f"exp/{snapshot.name}", snapshot.tip, snapshot.remotes)
    onward = f"; ckgit advance {snapshot.name} goes on from there"
    return [f"{each}; {each.fetch} looks again{'' if each.own else onward}" for each in found]
