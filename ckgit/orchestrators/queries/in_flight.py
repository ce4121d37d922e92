"""That nothing of an experiment runs: asked before its branch is closed or deleted, or its files are."""

from __future__ import annotations

import contextlib

from ckgit.errors import CkgitError, Exit
from ckgit.formats.listing import plural
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.orchestrators.engine import orphans


def refuse_in_flight(lab: Lab, snapshot: Snapshot) -> None:
    """What runs would go on, and nothing could record how it ends.

    Raises:
        CkgitError: IN_FLIGHT, jobs of it may run, those among them that its branch does not know.
    """
    name, ledger = snapshot.name, None
    with contextlib.suppress(CkgitError):  # then its jobs are those that its work trees tell of
        ledger = snapshot.ledger()
    if ledger and (ledger.open() or ledger.detached):
        jobs = [*ledger.open(), *([ledger.detached] if ledger.detached else [])]
        raise _in_flight(name, len(jobs), f"ckgit cancel {name} ends them")
    if unknown := orphans.still_unknown(lab, name, frozenset(ledger.tokens if ledger else ())):
        raise _in_flight(name, len(unknown), orphans.way_back(lab, name, unknown))


def _in_flight(name: str, count: int, onward: str) -> CkgitError:
    what = f"{plural(count, 'job')} of {name} {'is' if count == 1 else 'are'} in flight"
    return CkgitError(what, code=Exit.IN_FLIGHT, where=name, state="nothing was changed", next=onward)
