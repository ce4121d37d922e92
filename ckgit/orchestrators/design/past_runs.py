"""What earlier experiments of a lab took, for the estimates of new ones.

An earlier job tells how far the assumed speeds were off for its kind: what it took, beside the work that they assume for it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pydantic import ValidationError

from ckgit.errors import CkgitError
from ckgit.experiment.design.model import Stage
from ckgit.experiment.estimates.calibration import PastJob
from ckgit.experiment.estimates.estimate import COMPARED, SHARED, START
from ckgit.experiment.estimates.file import FILE, Estimate, Kind
from ckgit.experiment.jobs import Attempt, Ledger, Phase
from ckgit.formats.listing import first_of
from ckgit.lab.experiments import ExperimentRow, merged_experiments, newest_experiments
from ckgit.lab.git.objects import read_objects
from ckgit.lab.lab import Lab

NEWEST = 50  # experiments that are looked at
_UNKNOWN = datetime.datetime.min.replace(tzinfo=datetime.UTC)  # when a merged experiment ended takes more than the default branch's tip
_LISTED = 5  # unreadable ones that a warning names


class PastRuns(NamedTuple):
    """What was found."""

    jobs: Mapping[Kind, Sequence[PastJob]]  # earlier jobs of a kind, the newest experiment's first
    warnings: Sequence[str]


NOTHING = PastRuns({}, [])


def read_past_runs(lab: Lab, cluster_name: str, kinds: frozenset[Kind]) -> PastRuns:
    """What jobs of these kinds took on a cluster. What cannot be read is a warning, never an error."""
    jobs: dict[Kind, list[PastJob]] = {}
    unread: dict[str, str] = {}
    try:
        rows = _newest(lab)
    except CkgitError as error:
        return PastRuns({}, [f"what earlier experiments took cannot be read: {error.what}"])
    for row, estimate, ledger in _files(lab, rows, unread):
        try:
            for kind, job in _past(row, estimate, ledger, cluster_name, kinds):
                jobs.setdefault(kind, []).append(job)
        except ValidationError as error:
            unread[row.name] = str(error.errors()[0]["msg"])
    return PastRuns(jobs, _warnings(unread))


def _newest(lab: Lab) -> list[ExperimentRow]:
    """The newest experiments with a branch; where these are few, those besides that were merged and have none any more."""
    rows = newest_experiments(lab, NEWEST)
    if len(rows) >= NEWEST:
        return rows
    merged = merged_experiments(lab, {row.name for row in rows})[: NEWEST - len(rows)]
    return [*rows, *(ExperimentRow(name, lab.base, _UNKNOWN, None, None, "merged") for name in merged)]


def _files(lab: Lab, rows: Sequence[ExperimentRow], unread: dict[str, str]) -> Iterator[tuple[ExperimentRow, bytes, bytes]]:
    """Estimate and ledger of each experiment that has both, in one git call; one by one where git cannot read one of them."""
    try:
        found = list(zip(rows, _read(lab, rows), strict=True))
    except CkgitError:
        found = []
        for row in rows:
            try:
                found += [(row, _read(lab, [row])[0])]
            except CkgitError as error:
                unread[row.name] = error.what
    for row, (estimate, ledger) in found:
        if estimate is not None and ledger is not None:
            yield row, estimate, ledger


def _read(lab: Lab, rows: Sequence[ExperimentRow]) -> list[tuple[bytes | None, bytes | None]]:
    names = [f"{row.tip}:experiments/{row.name}/{file}" for row in rows for file in (FILE, "jobs.json")]
    contents = list(read_objects(lab.root, names))
    return list(zip(contents[::2], contents[1::2], strict=True))


def _past(row: ExperimentRow, estimate: bytes, ledger: bytes, cluster: str, kinds: frozenset[Kind]) -> Iterator[tuple[Kind, PastJob]]:
    expected = Estimate.model_validate_json(estimate)
    groups = [group for group in expected.groups if group.kind in kinds]
    # a design that was changed by hand after it was estimated ran other jobs under the same names
    if not groups or expected.formula not in COMPARED or expected.cluster != cluster or row.design not in (None, expected.design):
        return
    known = Ledger.model_validate_json(ledger)
    if known.cluster != cluster or known.moved_from:  # which cluster an attempt ran on is not known then
        return
    taken = {attempt.job: seconds for attempt in known.attempts if (seconds := _seconds_taken(attempt, expected.formula))}
    for group in groups:
        start = group.assumed_start or START[group.kind.stage]
        yield from ((group.kind, PastJob(max(each - start, 0.0), taken[job])) for job, each in group.assumed.items() if job in taken)


def _seconds_taken(attempt: Attempt, formula: int) -> float | None:
    """Seconds of a job that was done here at its first try, with all of its steps; None where they say nothing of what was assumed for it.

    A later try may have gone on with what an earlier one left, and an older formula assumed too little work for several GPUs.
    """
    if attempt.phase is not Phase.DONE or attempt.number > 1 or attempt.kept or attempt.reason:  # one that is kept counts where it ran
        return None
    usage = attempt.usage
    if usage and formula < SHARED and attempt.stage is Stage.TRAINING and (usage.gpus or 1) > 1:
        return None
    return usage.elapsed_seconds if usage else None


def _warnings(unread: Mapping[str, str]) -> list[str]:
    if not unread:
        return []
    listed = "; ".join(first_of((f"{name}: {reason}" for name, reason in unread.items()), _LISTED))
    return [f"the estimate leaves out earlier experiments that cannot be read ({listed})"]
