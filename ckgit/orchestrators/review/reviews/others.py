"""The other experiments of a lab, as a review needs them: what they compare, and what their jobs took."""

from __future__ import annotations

import contextlib
import datetime
import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pydantic import ValidationError

from ckgit.errors import DesignError
from ckgit.experiment.design.model import Summary
from ckgit.experiment.jobs import Ledger
from ckgit.lab.experiments import list_experiments
from ckgit.lab.git.objects import read_objects
from ckgit.lab.history.closings import closings
from ckgit.lab.history.designers import designers, revised
from ckgit.lab.lab import Lab
from ckgit.lab.summary.file import FILE, SummaryFile

MONTH = datetime.timedelta(days=30)


class OtherExperiment(NamedTuple):
    """An experiment of the lab."""

    name: str
    standing: str  # what became of it, in words
    summary: Summary
    ledger: Ledger | None


class Others(NamedTuple):
    """All of them but one."""

    experiments: Sequence[OtherExperiment]
    unread: Sequence[str]  # names of those that cannot be read
    designed_by: dict[str, str]  # address of who designed each, also of the one that is left out
    given_up: Sequence[tuple[str, Ledger]]  # ledgers of designs that were revised since, by experiment, also of that one

    def queue_seconds(self, cluster: str) -> float | None:
        """The median wait of their jobs on a cluster; None where none is known."""
        ledgers = (each.ledger for each in self.experiments if each.ledger and each.ledger.cluster == cluster)
        waits = [attempt.usage.queue_seconds for ledger in ledgers for attempt in ledger.attempts if attempt.usage]
        known = [wait for wait in waits if wait is not None]
        return statistics.median(known) if known else None

    def gpu_hours_of(self, person: str, since: datetime.datetime) -> float:
        """What attempts took that were submitted since then in experiments of a person's design."""
        now = [(each.name, each.ledger) for each in self.experiments if each.ledger]
        return sum(_gpu_hours(ledger, since) for name, ledger in (*now, *self.given_up) if self.designed_by.get(name) == person)

    def gpu_hours_before(self, experiment: str) -> float:
        """What attempts at earlier designs of an experiment took."""
        ever = datetime.datetime.min.replace(tzinfo=datetime.UTC)
        return sum(_gpu_hours(ledger, ever) for name, ledger in self.given_up if name == experiment)


def _gpu_hours(ledger: Ledger, since: datetime.datetime) -> float:
    own = (attempt for attempt in ledger.attempts if not attempt.kept)  # one that was kept counts where it ran
    recent = (attempt.usage for attempt in own if attempt.usage and not _is_before(attempt.submitted, since))
    return sum(usage.gpu_hours or 0.0 for usage in recent)


def _is_before(time: str, moment: datetime.datetime) -> bool:
    """Whether a time that others wrote is before a moment; one that is none is not, so that nobody's jobs are left out by it."""
    try:
        return datetime.datetime.fromisoformat(time) < moment
    except (ValueError, TypeError):  # or it names no time zone
        return False


def read_others(lab: Lab, name: str, commit: str) -> Others:
    """All experiments of a lab but one.

    Args:
        commit: up to which that one is looked at; who designed it is told by its history.
    """
    found, unread = list[OtherExperiment](), list[str]()
    named = [each for each in _named(lab) if each[0] != name]
    files = [f"{at}:experiments/{other}/{file}" for other, at, _ in named for file in (FILE, "jobs.json")]
    contents = list(read_objects(lab.root, files, lenient=True))
    for (other, _, standing), summary, ledger in zip(named, contents[::2], contents[1::2], strict=True):
        try:
            design = SummaryFile.parse(summary or b"", FILE).summary
            found.append(OtherExperiment(other, standing, design, Ledger.model_validate_json(ledger) if ledger else None))
        except (DesignError, ValidationError):
            unread.append(other)
    tips = {name: commit, **{other: at for other, at, _ in named}}
    return Others(found, unread, designers(lab.root, tips), list(_given_up(lab, revised(lab.root, tips))))


def _given_up(lab: Lab, before: Sequence[tuple[str, str]]) -> Iterator[tuple[str, Ledger]]:
    contents = read_objects(lab.root, [f"{at}:experiments/{name}/jobs.json" for name, at in before], lenient=True)
    for (name, _), content in zip(before, contents, strict=True):
        with contextlib.suppress(ValidationError):
            yield from [(name, Ledger.model_validate_json(content))] if content else []


def _named(lab: Lab) -> Iterator[tuple[str, str, str]]:
    """Name, commit and standing of each; those that were closed, with why."""
    rows = list_experiments(lab, kept=True)
    why = closings(lab.root, (row.closing for row in rows if row.closing))
    for row in rows:
        closed = f"closed: {why[row.closing].because}" if row.closing else ""
        yield row.name, row.tip, closed or (str(row.kept) if row.kept else str(row.state or "state unknown"))
