"""What earlier experiments of a lab took, for the estimates of new ones.

An earlier job tells how far the assumed speeds were off for its kind: what it took, over what they give for it. As its size is
in both, jobs of any length can be compared, and a start-up time is not taken for a speed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pydantic import ValidationError

from ckgit.experiment.errors import CkgitError
from ckgit.experiment.estimate import FORMULA
from ckgit.experiment.estimate_file import FILE, Estimate, Kind
from ckgit.experiment.jobs import Attempt, Ledger, Phase
from ckgit.lab.lab import ExperimentRow, Lab, newest_experiments
from ckgit.lab.objects import read_objects

NEWEST = 50  # experiments that are looked at
_LISTED = 5  # unreadable ones that a warning names


class Earlier(NamedTuple):
    """What was found."""

    ratios: Mapping[Kind, Sequence[float]]  # taken / assumed, of each earlier job of a kind
    warnings: Sequence[str]


NOTHING = Earlier({}, [])


def look_back(lab: Lab, cluster_name: str, kinds: frozenset[Kind]) -> Earlier:
    """What jobs of these kinds took on a cluster. What cannot be read is a warning, never an error."""
    ratios: dict[Kind, list[float]] = {}
    unread: dict[str, str] = {}
    try:
        rows = newest_experiments(lab, NEWEST)
    except CkgitError as error:
        return Earlier({}, [f"what earlier experiments took cannot be read: {error.what}"])
    for row, estimate, ledger in _files(lab, rows, unread):
        try:
            for kind, ratio in _ratios(row, estimate, ledger, cluster_name, kinds):
                ratios.setdefault(kind, []).append(ratio)
        except ValidationError as error:
            unread[row.name] = str(error.errors()[0]["msg"])
    return Earlier(ratios, _warnings(unread))


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


def _ratios(row: ExperimentRow, estimate: bytes, ledger: bytes, cluster: str, kinds: frozenset[Kind]) -> Iterator[tuple[Kind, float]]:
    expected = Estimate.model_validate_json(estimate)
    groups = [group for group in expected.groups if group.kind in kinds]
    # a design that was changed by hand after it was estimated ran other jobs under the same names
    if not groups or expected.formula != FORMULA or expected.cluster != cluster or row.design not in (None, expected.design):
        return
    known = Ledger.model_validate_json(ledger)
    if known.cluster != cluster or known.moved_from:  # which cluster an attempt ran on is not known then
        return
    taken = {attempt.job: seconds for attempt in known.attempts if (seconds := _taken(attempt))}
    for group in groups:
        yield from ((group.kind, taken[job] / assumed) for job, assumed in group.assumed.items() if job in taken)


def _taken(attempt: Attempt) -> float | None:
    """Seconds of a job that was done at its first try: a later one may have gone on with what an earlier one left."""
    if attempt.phase is not Phase.DONE or attempt.number > 1:
        return None
    return attempt.usage.elapsed_seconds if attempt.usage else None


def _warnings(unread: Mapping[str, str]) -> list[str]:
    if not unread:
        return []
    listed = "; ".join(f"{name}: {reason}" for name, reason in list(unread.items())[:_LISTED])
    more = f"; and {len(unread) - _LISTED} more" if len(unread) > _LISTED else ""
    return [f"the estimate leaves out earlier experiments that cannot be read ({listed}{more})"]
