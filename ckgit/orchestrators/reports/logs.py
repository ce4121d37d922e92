"""Logs of evaluations as files: those of the branch, and those that were too large for it from the work tree."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.results import CellResult
from ckgit.formats.listing import choose
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.kept import source

_VIEWED = "inspect-ai"  # the tool whose logs the viewer reads
_LOG = re.compile(r"(?P<run>\w[\w.+-]*)/eval/logs/(?P<cell>\w[\w.+-]*)\.(?:eval|json)")


class CellLog(NamedTuple):
    """The log of one evaluation."""

    run: str
    cell: str
    content: bytes | None  # as committed; None where it was too large
    large: Path | None = None  # such a one in the work tree
    why_not: str = ""  # why that is not there

    @property
    def name(self) -> str:
        """As `ckgit view` takes it."""
        return f"{self.run}/{self.cell}"


def logs(view: ExperimentView, wanted: str | None) -> Sequence[CellLog]:
    """The logs of an experiment, of one run, or of one evaluation.

    Args:
        wanted: a run, an evaluation, or RUN/EVALUATION; None for all.

    Raises:
        CkgitError: USAGE, another tool evaluates, or there is nothing of that name; ILLEGAL_TRANSITION, nothing was evaluated yet.
    """
    if (tool := view.context.summary.tools.evaluation) != _VIEWED:
        what = f"{view.name} is evaluated by {tool}, and the viewer reads logs of {_VIEWED}"
        raise CkgitError(what, code=Exit.USAGE, next=f"ckgit report {view.name} has what came of it")
    places = {path: found for path in view.snapshot.list(view.context.folder) if (found := _place(view, path))}
    if not places:
        what = f"{view.name} has no evaluation whose log is committed"
        raise CkgitError(what, code=Exit.ILLEGAL_TRANSITION, next=f"ckgit advance {view.name} --to evaluated")
    chosen = {path: each for path, each in places.items() if wanted is None or _is_wanted(each, wanted)}
    if not chosen:
        known = choose(wanted or "", ["/".join(each) for each in places.values()])
        raise CkgitError(f"{view.name} has no evaluation {wanted!r}", code=Exit.USAGE, next=known)
    contents = view.snapshot.read_many(chosen)
    return [*_found(view, chosen, contents)]


def _place(view: ExperimentView, path: str) -> tuple[str, str] | None:
    """Run and evaluation of a log, or of what is committed of one that was too large."""
    found = _LOG.fullmatch(path.removeprefix(f"{view.context.folder}/"))
    return (found["run"], found["cell"]) if found else None


def _is_wanted(place: tuple[str, str], wanted: str) -> bool:
    run, cell = place
    return wanted in (run, cell, f"{run}/{cell}", f"{run}/eval/{cell}")


def _found(view: ExperimentView, chosen: Mapping[str, tuple[str, str]], contents: Mapping[str, bytes]) -> Iterator[CellLog]:
    extracts = {place for path, place in chosen.items() if path.endswith(".json")}
    for path, (run, cell) in chosen.items():
        if path.endswith(".json"):
            yield _large(view, CellLog(run, cell, None), contents[path])
        elif (run, cell) not in extracts:  # otherwise it is of an attempt that failed
            yield CellLog(run, cell, contents[path])


def _tree(view: ExperimentView, log: CellLog) -> Path:
    """The work tree of the job that made a log; of one that is kept that is an earlier one."""
    job = next((cell.job for cell in view.context.plan.cells_of(log.run) if cell.name == log.cell), "")
    kept = view.context.kept.get(job)
    while kept:
        snapshot, ledger = source(view.lab, kept)
        earlier = snapshot.kept_jobs()
        kept = earlier.jobs.get(kept.job) if earlier else None
        if not kept:
            return Path(ledger.work_tree)
    return Path(view.ledger.work_tree if view.ledger else "")


def _large(view: ExperimentView, log: CellLog, extract: bytes) -> CellLog:
    """One that stayed in the work tree, where it is there, and is the very one."""
    try:
        result = CellResult.model_validate_json(extract)
    except ValidationError:
        return log._replace(why_not="what is committed of it cannot be read")
    place = _tree(view, log) / view.path(f"{log.run}/eval/logs/{log.cell}.eval")
    try:
        with place.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return log._replace(why_not=f"it was too large to be committed, and {place} is not on this machine")
    if digest != result.log_sha256:
        return log._replace(why_not=f"it was too large to be committed, and {place} is not what was judged")
    return log._replace(large=place)
