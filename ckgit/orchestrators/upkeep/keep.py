"""Which checkpoints `ckgit clean --keep` leaves: those of the best run, the last of each run, or those of runs that are named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pydantic import ValidationError

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.results import CellResult, Results, RunRow, place_of_checkpoint
from ckgit.formats.listing import choose
from ckgit.formats.markdown import number
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.orchestrators.upkeep.disk import FolderOnDisk

BEST, LAST = "best", "last"
_SMALL_IS_GOOD = ("loss", "error", "mae", "mse", "rmse", "brier", "ece", "perplexity")  # a metric whose name has one of these words


class KeptCheckpoint(NamedTuple):
    """A checkpoint that stays."""

    path: Path
    why: str


def kept_checkpoints(name: str, snapshot: Snapshot | None, found: Sequence[FolderOnDisk], keep: Sequence[str]) -> list[KeptCheckpoint]:
    """Those of the checkpoints that are to be kept, each with the reason.

    Args:
        name: of the experiment.
        snapshot: None where no experiment here has that name.
        keep: `best`, `last`, and names of runs.

    Raises:
        CkgitError: USAGE, there is no such run; EVIDENCE_MISSING, no result tells which run is the best.
    """
    found = _called_here(snapshot, found)
    runs = dict.fromkeys(each.run for each in found)
    kept = list[KeptCheckpoint]()
    for word in dict.fromkeys(keep):
        if word == BEST:
            kept += _best(name, snapshot, found)
        elif word == LAST:
            last = {(each.path.parent, each.run): each for each in found}
            kept += [KeptCheckpoint(each.path, f"the last of {each.run}") for each in last.values()]
        elif word in runs:
            kept += [KeptCheckpoint(each.path, f"of {word}") for each in found if each.run == word]
        else:
            onward = choose(word, [BEST, LAST, *runs])
            raise CkgitError(f"no checkpoint of a run {word!r} is there", code=Exit.USAGE, state="nothing was removed", next=onward)
    return kept


def _called_here(snapshot: Snapshot | None, found: Sequence[FolderOnDisk]) -> list[FolderOnDisk]:
    """The same, with a training that was taken over called as the experiment itself calls its run."""
    kept = snapshot.kept_jobs() if snapshot else None
    names = {f"{job.experiment}/{job.run}": name.partition("/")[0] for name, job in (kept.jobs if kept else {}).items()}
    return [each._replace(run=names.get(each.run, each.run)) for each in found]


def _best(name: str, snapshot: Snapshot | None, found: Sequence[FolderOnDisk]) -> list[KeptCheckpoint]:
    content = snapshot.read(f"{snapshot.folder}/analysis/results.json") if snapshot else None
    try:
        results = Results.model_validate_json(content or b"")
    except ValidationError:
        results = None
    scored = [(value, run, each) for run, each in _cells(results) if (value := each.metrics[0].value) is not None]
    if not scored:
        raise _no_best(name, "it has no results")
    first = scored[0][2]
    of_first = [one for one in scored if one[2].task == first.task and one[1].training]
    small = any(word in first.metrics[0].name.lower() for word in _SMALL_IS_GOOD)
    if not of_first:
        raise _no_best(name, "no run that was trained has a score")
    value, run, each = (min if small else max)(of_first, key=lambda one: one[0])
    saved = run.training.saved(each) if run.training else None
    place = place_of_checkpoint(each.epoch, each.checkpoint)
    which = f"{'lowest' if small else 'highest'} with {number(value)}{f' at {place}' if place else ''}"
    why = f"of {run.name}, the best by {first.task} {first.metrics[0].name}, {which}"
    kept = [one for one in found if one.run == run.name and (saved is None or one.path.name in PurePosixPath(saved.path).parts)]
    if not kept:
        raise _no_best(name, f"the checkpoint {why} is not there any more")
    return [KeptCheckpoint(one.path, why) for one in kept]


def _no_best(name: str, why: str) -> CkgitError:
    return CkgitError(
        f"which checkpoint of {name} is the best cannot be told: {why}",
        code=Exit.EVIDENCE_MISSING,
        state="nothing was removed",
        next=f"ckgit show {name} shows what is known; --keep RUN keeps runs by their names",
    )


def _cells(results: Results | None) -> list[tuple[RunRow, CellResult]]:
    return [(run, each) for run in (results.runs if results else ()) for each in run.cells if each.metrics]

