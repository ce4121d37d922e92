"""What was read of experiments on which nothing goes on, kept from one dashboard to the next.

Each is remembered by a key of all that it follows from.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from ckgit.lab.experiments import ExperimentRow
from ckgit.lab.git.trailers import build
from ckgit.lab.history.remembered import recall, remember
from ckgit.lab.lab import CONFIG, Lab
from ckgit.orchestrators.dashboard.now import ExperimentNow
from ckgit.results.from_git.history import commits_of
from ckgit.results.from_git.sources import ResultsSource
from ckgit.results.refs import refs_text

_KIND = "dashboard"


def keys_of(lab: Lab, rows: Sequence[ExperimentRow]) -> Mapping[str, str]:
    """A key of all that is read of each experiment while nothing of it is out; none of one whose history git cannot read.

    That is this ckgit, ckgit.toml, the row, the commits of its branch, and every ref that has its name.
    """
    sources = [ResultsSource(row.name, row.name, row.tip, "", current=True) for row in rows if not row.lost]
    steps = commits_of(lab, sources) if sources else {}
    refs: dict[str, list[str]] = {}
    for line in refs_text(lab.root).decode(errors="surrogateescape").splitlines():
        ref = line.rpartition(" ")[0]
        for word in {*re.split("[/@]", ref), ref.partition("/exp/")[2]}:
            refs.setdefault(word, []).append(line)
    everywhere = (build(), _content(lab.root / CONFIG))
    return {
        row.name: _digest(*everywhere, repr(row), *(step.oid for step in steps[row.name]), *refs.get(row.name, ()))
        for row in rows
        if row.name in steps
    }


def _content(file: Path) -> str:
    with contextlib.suppress(OSError):
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    return ""


def recalled(key: str) -> ExperimentNow | None:
    """What was kept of an experiment under a key; None for nothing that can be read."""
    try:
        found = _adapter().validate_json(recall(_KIND, key) or b"")
    except ValueError:
        return None
    return found if found.key == key else None


def keep(now: ExperimentNow) -> None:
    """Keep an experiment under its key."""
    remember(_KIND, now.key, content=_adapter().dump_json(now))


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode(errors="surrogateescape")).hexdigest()


@functools.cache
def _adapter() -> TypeAdapter[ExperimentNow]:
    # names that the types mention, and that their modules have no time to import: pydantic looks for them here
    from ckgit.analysis.tables import JobRow  # noqa: F401
    from ckgit.experiment.accounting import UsageTotals  # noqa: F401
    from ckgit.experiment.claims.verdicts import Verdict  # noqa: F401
    from ckgit.experiment.outputs.events import OverallProgress  # noqa: F401
    from ckgit.lab.history.cleanings import RemovedNow  # noqa: F401
    from ckgit.lab.history.closings import Closing  # noqa: F401

    return TypeAdapter(ExperimentNow)
