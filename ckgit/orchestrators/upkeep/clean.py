"""clean: what was asked for is taken off the disk, and nothing else; what is removed of an open experiment is recorded on its branch first.

A kill between the record and the last file leaves more than the record says, never less: the same command removes the rest, and
commits nothing again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.state import State
from ckgit.formats.listing import first_of
from ckgit.lab.commit import CommitPlan
from ckgit.lab.history import cleanings
from ckgit.lab.history.cleanings import RemovedThing
from ckgit.lab.lab import Lab
from ckgit.lab.remotes import authority
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.lab.user_folders import user_folder
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import RecordedCommit, commit_and_tell, snapshot_for_update
from ckgit.orchestrators.engine.orphans import find_orphans, listed, unfinished
from ckgit.orchestrators.queries.in_flight import refuse_in_flight
from ckgit.orchestrators.upkeep.disk import ExperimentOnDisk, TreeOnDisk, look_at
from ckgit.orchestrators.upkeep.keep import kept_checkpoints
from ckgit.orchestrators.upkeep.taken_over import still_loaded

_REMOVED = ".removed-"  # a work tree that is on its way out


class WhatToRemove(NamedTuple):
    """What is asked for."""

    checkpoints: bool = False
    work: bool = False  # work trees that nothing goes on in
    present: bool = False  # also the one that the branch names
    keep: Sequence[str] = ()  # checkpoints that stay: `best`, `last`, names of runs

    @property
    def words(self) -> str:
        """The options, as they may be typed."""
        options = ["--all"] if self.present else [*(["--checkpoints"] if self.checkpoints else []), *(["--work"] if self.work else [])]
        return " ".join([*options, *(f"--keep={each}" for each in self.keep)])


class StaysOnDisk(NamedTuple):
    """Something that is left where it is, although it is of the kind that was asked for."""

    path: Path
    why: str
    needed: bool = False  # for a step that is still to come
    by: str = ""  # the experiment that is still to make it, where it is another one


class Removal(NamedTuple):
    """What would be removed of an experiment."""

    experiment: ExperimentOnDisk
    removed: Sequence[RemovedThing]  # what is inside others comes first
    stays: Sequence[StaysOnDisk]
    commit: CommitPlan | None  # that records it; None where no step follows any more, or it is recorded already

    @property
    def bytes(self) -> int:
        """Of all that is removed."""
        return sum(each.bytes for each in self.removed)


def plan_removal(lab: Lab, found: ExperimentOnDisk, wanted: WhatToRemove, events: Events | None = None) -> Removal:
    """What would be removed, and the commit that records it.

    Args:
        events: to whom is told what the authority brings, where its branch is to be moved on; None only to look.

    Raises:
        CkgitError: IN_FLIGHT, jobs of it may run; ILLEGAL_TRANSITION, its next step needs all that was asked for; USAGE, `keep` names no
            run; EVIDENCE_MISSING, nothing tells which run is the best; as `snapshot_for_update`.
    """
    snapshot = _snapshot(lab, found, events)
    _refuse_running(lab, found, snapshot)
    if snapshot and events:
        found = look_at(lab, found.name, found.row and found.row._replace(tip=snapshot.tip, state=snapshot.state))
    models, loaded = models_in_use(), still_loaded(lab)
    chosen = [_unless_loaded(_unless_a_model(each, models), loaded) for each in _chosen(found, snapshot, wanted)]
    removed = [each for each in chosen if isinstance(each, RemovedThing)]
    stays = [each for each in chosen if isinstance(each, StaysOnDisk)]
    if not removed and (needed := next((each for each in stays if each.needed), None)):
        raise CkgitError(
            needed.why,
            code=Exit.ILLEGAL_TRANSITION,
            where=found.name,
            state="nothing was removed",
            next=f"ckgit advance {needed.by or found.name} goes on to the end; or it is given up first: "
            f"ckgit close {needed.by or found.name} --because TEXT",
        )
    return Removal(found, removed, stays, _commit(lab, found, snapshot, removed))


def _snapshot(lab: Lab, found: ExperimentOnDisk, events: Events | None) -> Snapshot | None:
    if found.row is None:
        return None
    return take_snapshot(lab, found.name, kept=True) if found.over or not events else snapshot_for_update(lab, found.name, events)


def _refuse_running(lab: Lab, found: ExperimentOnDisk, snapshot: Snapshot | None) -> None:
    if snapshot:
        refuse_in_flight(lab, snapshot)
    elif running := find_orphans(lab, found.name, frozenset()):
        what = f"jobs of {found.name}, which has no branch here, may still run: {listed(running)}"
        onward = f"ckgit cancel {found.name} --job {running[0].token} ends that one"
        raise CkgitError(what, code=Exit.IN_FLIGHT, where=found.name, state="nothing was removed", next=onward)


def _chosen(found: ExperimentOnDisk, snapshot: Snapshot | None, wanted: WhatToRemove) -> Iterator[RemovedThing | StaysOnDisk]:
    """Each thing of the kind that is asked for: removed, or left with the reason."""
    state = snapshot.state if snapshot else None
    ours = [each for tree in found.trees if tree.ours for each in tree.checkpoints]
    kept = {each.path: each.why for each in kept_checkpoints(found.name, snapshot, ours, wanted.keep)}
    for tree in found.trees:
        if not tree.ours:
            yield StaysOnDisk(tree.work, "jobs of another clone or lab ran there, or its commit is not in this repository")
        elif tree.copy and unfinished(tree.work, frozenset()):
            yield StaysOnDisk(tree.work, "a second execution of its jobs may still run there, or was killed; remove it by hand then")
        elif _whole(found, tree, wanted, state):
            yield from _whole_tree(tree)
        elif wanted.present and tree.present:
            yield StaysOnDisk(tree.work, f"{found.name} is {state}, and what is still to come of it needs its work tree", needed=True)
        elif wanted.checkpoints:
            yield from _checkpoints(found, snapshot, tree, kept)
    if wanted.work:
        yield from (RemovedThing(str(each.path), each.bytes) for each in found.left if each.path.name.startswith(_REMOVED))


def models_in_use() -> frozenset[str]:
    """Folders that `ckgit models add` has registered for a card, links resolved."""
    folder = user_folder("XDG_DATA_HOME")
    links = list((folder / "models").iterdir()) if folder and (folder / "models").is_dir() else []
    return frozenset(os.path.realpath(link) for link in links)


def _unless_a_model(thing: RemovedThing | StaysOnDisk, models: frozenset[str]) -> RemovedThing | StaysOnDisk:
    """What holds a model that a card names is no leftover of this experiment alone."""
    place = os.path.realpath(thing.path)
    if isinstance(thing, StaysOnDisk) or not any(each == place or each.startswith(f"{place}{os.sep}") for each in models):
        return thing
    return StaysOnDisk(Path(thing.path), "a model card names what is in it (ckgit models list)", needed=True)


def _unless_loaded(thing: RemovedThing | StaysOnDisk, loaded: Mapping[str, str]) -> RemovedThing | StaysOnDisk:
    """What an experiment that took a training over is still to load stays."""
    place = Path(os.path.realpath(thing.path))
    name = next((loaded[str(each)] for each in (place, *place.parents) if str(each) in loaded), "")
    if isinstance(thing, StaysOnDisk) or not name:
        return thing
    return StaysOnDisk(Path(thing.path), f"{name} has taken over what was trained there, and is still to evaluate it", needed=True, by=name)


def _whole(found: ExperimentOnDisk, tree: TreeOnDisk, wanted: WhatToRemove, state: State | None) -> bool:
    """Whether a whole work tree is to go: one that nothing goes on in, or where that is asked for, of an experiment that is done."""
    if not wanted.work:
        return False
    if not tree.present or found.over:
        return True
    return wanted.present and state is State.ANALYZED


def _whole_tree(tree: TreeOnDisk) -> Iterator[RemovedThing]:
    inside = [RemovedThing(str(each.path), each.bytes, each.sha256) for each in tree.checkpoints]
    yield from inside
    yield RemovedThing(str(tree.work), tree.bytes - sum(each.bytes for each in inside))


def _checkpoints(
    found: ExperimentOnDisk, snapshot: Snapshot | None, tree: TreeOnDisk, kept: Mapping[Path, str]
) -> Iterator[RemovedThing | StaysOnDisk]:
    if snapshot and tree.checkpoints and tree.present and not found.over and snapshot.state not in (State.EVALUATED, State.ANALYZED):
        why = f"{found.name} is {snapshot.state}, and its evaluations, which are still to come, need the checkpoints"
        yield StaysOnDisk(tree.work, why, needed=True)
        return
    for each in tree.checkpoints:
        yield StaysOnDisk(each.path, kept[each.path]) if each.path in kept else RemovedThing(str(each.path), each.bytes, each.sha256)


def _commit(lab: Lab, found: ExperimentOnDisk, snapshot: Snapshot | None, removed: Sequence[RemovedThing]) -> CommitPlan | None:
    """What records it. Of an experiment that is over nothing goes on, and no step may follow."""
    if snapshot is None or found.over or not removed:
        return None
    known = cleanings.removals(lab.root, snapshot.name, snapshot.tip)
    new = [each for each in removed if not cleanings.removal_of(known, Path(each.path)) and not Path(each.path).name.startswith(_REMOVED)]
    if not new:
        return None
    digest = snapshot.summary.summary.digest
    return CommitPlan(snapshot.name, Event.CLEAN, snapshot.branch_tip, {}, digest, cleanings.message(new))


def remove(lab: Lab, planned: Removal, events: Events) -> RecordedCommit | None:
    """Record what is removed, then remove it; returns the commit, where one was made.

    Raises:
        CkgitError: as `make_commit`, and then nothing was removed; COMMAND_FAILED, something cannot be removed, or lies elsewhere.
    """
    for each in planned.removed:
        _refuse_elsewhere(lab, planned.experiment.name, Path(each.path))
    made = commit_and_tell(lab, planned.commit, events) if planned.commit else None
    found = planned.experiment
    if not made and found.row and not found.over:  # it was recorded before, and the authority may not have taken that
        authority.push_rest(lab, found.name, found.row.tip, closed=False)
    for each in planned.removed:
        try:
            _take_away(Path(each.path))
        except OSError as error:
            raise _not_removed(planned, made, each, error) from error
    return made


def _take_away(path: Path) -> None:
    """Remove a folder. A work tree gets another name first, so that half of one is never taken for one."""
    if not path.exists():
        return
    if (path / ".ckgit").is_dir() and not path.name.startswith(_REMOVED):
        path = path.rename(path.with_name(f"{_REMOVED}{path.name}-{os.getpid()}"))
    shutil.rmtree(path)


def _refuse_elsewhere(lab: Lab, name: str, path: Path) -> None:
    """Check that a path lies in the experiment's own folder of a work root, and that no link leads to it."""
    folders = [folder for folder in lab.experiment_folders(name).values() if path.is_relative_to(folder) and path != folder]
    between = [folder / Path(*path.relative_to(folder).parts[:count]) for folder in folders for count in range(len(path.parts))]
    if not folders or ".." in path.parts or any(place.is_symlink() for place in between):
        what = "it is not a folder of ckgit's own, or a link leads there"
        onward = "look at it, and remove it by hand"
        raise CkgitError(what, code=Exit.COMMAND_FAILED, where=str(path), state="nothing was removed", next=onward)


def _not_removed(planned: Removal, made: RecordedCommit | None, failed: RemovedThing, error: OSError) -> CkgitError:
    left = [each.path for each in planned.removed if Path(each.path).exists()]
    recorded = f"commit {made.commit[:12]} lists what was to be removed; " if made else ""
    return CkgitError(
        f"it cannot be removed: {error.strerror or error}",
        code=Exit.COMMAND_FAILED,
        where=failed.path,
        state=f"{recorded}still there: {'; '.join(first_of(left, more='more'))}",
        next="mend the permissions, then run the same command again: it removes the rest",
    )
