"""What experiments hold on this machine's disks: each work tree, and in it what runs have left. Nothing is written."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pydantic import ValidationError

from ckgit.errors import CkgitError
from ckgit.experiment.design.kept import KeptJobs
from ckgit.experiment.results import MANIFEST, Checkpoint, read_manifest
from ckgit.experiment.state import State
from ckgit.formats.plain_json import read_json
from ckgit.jobs.ownership import owner_of
from ckgit.lab.experiments import ExperimentRow, list_experiments
from ckgit.lab.git.command import git_lines
from ckgit.lab.git.objects import read_object, read_objects
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.engine.orphans import TREE, own_commits
from ckgit.orchestrators.upkeep.taken_over import trees_of

_COPY = re.compile(r"reproduce-([0-9a-f]{12})-[0-9a-f]{8}")  # where `ckgit reproduce` has run jobs again
_LEFT = re.compile(r"\.(removed-.*|[0-9a-f]{12}(-[0-9]+)?-.*|reproduce-.*)")  # a work tree half removed, or half exported


class FolderOnDisk(NamedTuple):
    """A checkpoint of a run."""

    path: Path
    run: str  # with the experiment before it that it was trained for, where that is another one
    bytes: int
    sha256: str = ""  # as training left it in its list; empty where that does not say


class TreeOnDisk(NamedTuple):
    """A work tree."""

    work: Path
    cluster: str  # name of the profile in whose work root it lies
    ours: bool  # whether this repository has its commit, and no other clone's jobs ran there
    present: bool  # whether the branch's ledger names it
    bytes: int  # of all that is in it, links not followed
    checkpoints: Sequence[FolderOnDisk]  # of each run in the order in which training lists them, before them what it does not list
    logs: Mapping[str, int]  # by run: bytes of what its jobs have left beside checkpoints
    exported: int  # bytes of what was written from the commit

    @property
    def copy(self) -> bool:
        """Whether it is one of `ckgit reproduce`."""
        return _COPY.fullmatch(self.work.name) is not None


class ExperimentOnDisk(NamedTuple):
    """All of an experiment's work trees."""

    name: str
    row: ExperimentRow | None  # None: no experiment here has this name
    trees: Sequence[TreeOnDisk]
    left: Sequence[FolderOnDisk]  # half a work tree, which a killed process has left

    @property
    def bytes(self) -> int:
        """Of all of it."""
        return sum(each.bytes for each in self.trees) + sum(each.bytes for each in self.left)

    @property
    def over(self) -> str:
        """Why no step follows any more: it is closed, merged, or its branch is gone; empty where one may."""
        if self.row is None:
            return "without a branch"
        return "closed" if self.row.closing else str(self.row.kept or "")


def look(lab: Lab, names: Sequence[str] = ()) -> Iterator[ExperimentOnDisk]:
    """What experiments hold, by name; of all of them where none is named. One that holds nothing is left out where none was.

    Raises:
        CkgitError: USAGE, ckgit.toml cannot be read, or nothing here has a name.
    """
    rows = {row.name: row for row in list_experiments(lab, kept=True)}
    found = {folder.name for root in lab.lab_folders() if root.is_dir() for folder in root.iterdir() if folder.is_dir()}
    for name in names or sorted(found | rows.keys()):
        one = look_at(lab, name, rows.get(name))
        if names and not (one.row or one.trees or one.left):
            take_snapshot(lab, name)  # which says that there is no such experiment
        if names or one.trees or one.left:
            yield one


def look_at(lab: Lab, name: str, row: ExperimentRow | None) -> ExperimentOnDisk:
    """What one experiment holds."""
    places = {work: cluster for cluster, folder in lab.experiment_folders(name).items() for work in _inside(folder)}
    commits = {work: match[1] for work in places if (match := TREE.fullmatch(work.name) or _COPY.fullmatch(work.name))}
    own, ledgers = own_commits(lab, set(commits.values())), _ledgers(lab, name) if commits else []
    named = _needed(lab, row) if row else set()
    trees = []
    for work, commit in commits.items():
        owner = "" if _COPY.fullmatch(work.name) else owner_of(work)
        ours = commit in own and (not owner or any(owner.encode() in each for each in ledgers))
        next_one = row is not None and work.name[:12] == row.tip[:12]  # whoever submits just now has made it, and no ledger names it yet
        trees.append(_tree(work, places[work], ours=ours, present=next_one or os.path.realpath(work) in named))
    left = [FolderOnDisk(work, "", size_of(work)) for work in places if _LEFT.fullmatch(work.name)]
    return ExperimentOnDisk(name, row, trees, left)


def _inside(folder: Path) -> list[Path]:
    """Folders in one that is none by a link."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))


def _ledgers(lab: Lab, name: str) -> list[bytes]:
    """Every ledger of an experiment that any ref of this repository holds: they list the jobs of its own work trees."""
    path = f"experiments/{name}/jobs.json"
    commits = git_lines(lab.root, "rev-list", "--all", "--", path)
    return [each for each in read_objects(lab.root, [f"{commit}:{path}" for commit in commits], lenient=True) if each]


def _needed(lab: Lab, row: ExperimentRow) -> set[str]:
    """Each path that the branch's ledger holds; where all that is reported was kept and no work tree was made, also those where it ran.

    What is still to be loaded of a kept training, `still_loaded` tells.
    """
    named = _named(read_object(lab.root, f"{row.tip}:experiments/{row.name}/jobs.json"))
    content = read_object(lab.root, f"{row.tip}:experiments/{row.name}/kept.json")
    reported = row.state in (State.EVALUATED, State.ANALYZED)
    if content is None or not reported or any(TREE.fullmatch(Path(path).name) for path in named):
        return named
    try:
        kept = KeptJobs.model_validate_json(content).jobs.values()
        return named | {os.path.realpath(tree) for tree in trees_of(lab, kept)}
    except (ValidationError, CkgitError):
        return named  # whoever reads the experiment is told


def _named(ledger: bytes | None) -> set[str]:
    """Each path that a ledger holds, whether it can be read or not: whichever work trees it names are among them."""
    if ledger is None:
        return set()
    try:
        found = set(_texts(read_json(ledger)))
    except ValueError:
        found = set(re.findall(r'"([^"]*)"', ledger.decode(errors="replace")))
    return {os.path.realpath(text) for text in found if text.startswith("/")}


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for each in value.values() for text in _texts(each))
    elif isinstance(value, list):
        yield from (text for each in value for text in _texts(each))


def _tree(work: Path, cluster: str, *, ours: bool, present: bool) -> TreeOnDisk:
    exported = _exported(work)
    checkpoints, logs = list[FolderOnDisk](), dict[str, int]()
    for folder in (run for experiment in _inside(work / "experiments") for run in _inside(experiment)):
        run = folder.name if folder.parent.name == work.parent.name else f"{folder.parent.name}/{folder.name}"
        saved = _saved(folder / "artifacts" / MANIFEST)
        order = [PurePosixPath(each.path).name for each in saved]
        there = sorted(_inside(folder / "artifacts"), key=lambda each: order.index(each.name) if each.name in order else -1)
        found = [FolderOnDisk(each, run, size_of(each), _digest(each, saved)) for each in there]
        checkpoints += found
        own = sum(count for path, count in exported.items() if path.startswith(f"{folder.relative_to(work)}/"))
        logs[run] = max(0, size_of(folder) - own - sum(each.bytes for each in found))
    return TreeOnDisk(work, cluster, ours, present, size_of(work), checkpoints, logs, sum(exported.values()))


def _exported(work: Path) -> dict[str, int]:
    """Files that were exported from the commit, with their bytes; none where the list of them cannot be read."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        files = read_json((work / ".ckgit" / "export.json").read_bytes())["files"]
        return {str(path): int(count) for path, count in files.items()}
    return {}


def _saved(manifest: Path) -> Sequence[Checkpoint]:
    """What training says that it has saved; nothing where there is no list that can be read."""
    with contextlib.suppress(OSError, ValueError):
        return read_manifest(manifest.read_bytes())
    return ()


def _digest(folder: Path, saved: Sequence[Checkpoint]) -> str:
    return next((each.sha256 for each in saved if folder.name in PurePosixPath(each.path).parts), "")


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder, links not followed; what cannot be seen counts for nothing."""
    return sum(_sizes(folder))


def _sizes(folder: Path) -> Iterable[int]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    yield from _sizes(Path(entry.path))
                else:
                    yield entry.stat(follow_symlinks=False).st_size
