"""What nobody looks after any more: jobs, work trees, and files that killed commands have left."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ckgit.errors import CkgitError
from ckgit.formats.listing import plural
from ckgit.formats.markdown import size
from ckgit.lab.experiments import list_experiments
from ckgit.lab.git.objects import read_objects
from ckgit.lab.history.remembered import MOST_BYTES, UNUSED_DAYS, kept_files
from ckgit.lab.lab import Lab
from ckgit.lab.user_folders import user_folder
from ckgit.orchestrators.engine.orphans import Orphan, find_orphans, is_unread, known_in, listed
from ckgit.orchestrators.upkeep.disk import ExperimentOnDisk, look
from ckgit.orchestrators.upkeep.doctor.point import Point, error, warning

_OLD = 600.0  # seconds after which a lock is taken to be left by a killed process


def jobs(lab: Lab) -> Iterator[Point]:
    """Jobs that run and are in no ledger; of an experiment whose ledger cannot be read, that nothing can be said of them."""
    rows = list_experiments(lab, kept=True)
    ledgers = read_objects(lab.root, [f"{row.tip}:experiments/{row.name}/jobs.json" for row in rows], lenient=True)
    contents = {row.name: ledger for row, ledger in zip(rows, ledgers, strict=True)}
    known = {row.name: known_in(contents[row.name], gone=bool(row.kept)) for row in rows}
    unread = {row.name for row in rows if row.lost or is_unread(lab, row.name, row.tip, contents[row.name])}
    folders = {entry.name for root in lab.lab_folders() if root.is_dir() for entry in root.iterdir()}
    count = len(unread)
    for name in sorted(folders | known.keys()):
        try:
            found = find_orphans(lab, name, known.get(name, frozenset()))
        except CkgitError as failed:
            yield error(f"{name}: {failed.what}", failed.next)
            continue
        if name in unread:
            yield _unread(name, found)
            continue
        for each in found:
            yield warning(f"job {each.token} of {name} may run ({each.seen}), and no ledger lists it", _ending(name, each.token))
        count += len(found)
    if not count:
        yield Point("every job that runs is in the ledger of its experiment")


def _unread(name: str, found: Sequence[Orphan]) -> Point:
    out = f"; it may list those that may run: {listed(found)}" if found else ""
    return error(f"the ledger of {name} cannot be read{out}", f"ckgit status {name} says what is wrong with it, and what mends that")


def _ending(name: str, token: str) -> str:
    return f"ckgit cancel {name} --job {token} ends it"


def work_trees(lab: Lab) -> Iterator[Point]:
    """Work trees in which nothing goes on."""
    found = list(look(lab))
    idle = [(each, held) for each in found if (held := _idle(each))]
    for each, held in idle:
        why = each.over or "its branch has moved on"
        yield warning(f"{size(held)} of {each.name} lie in work trees that nothing needs: {why}", f"ckgit clean {each.name} --work")
    if not idle:
        yield Point(f"{size(sum(each.bytes for each in found))} in work trees, each of which its branch needs")


def _idle(found: ExperimentOnDisk) -> int:
    return sum(tree.bytes for tree in found.trees if tree.ours and (found.over or not tree.present))


def cache(lab: Lab) -> Iterator[Point]:  # noqa: ARG001 - as all checks
    """What was found out of commits, and is kept for the next time."""
    folder = user_folder("XDG_CACHE_HOME")
    if folder is None:
        yield Point("the user has no home, so nothing that was found out of commits is kept")
        return
    kept = list(kept_files(folder))
    goes = f"what is not used for {UNUSED_DAYS} days goes by itself, and the oldest beyond {size(MOST_BYTES)}"
    of = f"what was found out of commits, in {plural(len(kept), 'file')}"
    yield Point(f"{folder} keeps {size(sum(each.bytes for each in kept))} of {of}; {goes}")


def left_files(lab: Lab) -> Iterator[Point]:
    """Half work trees, locks and journals that killed commands have left."""
    found = list(_left(lab))
    yield from found or [Point("none")]


def _left(lab: Lab) -> Iterator[Point]:
    for root in lab.lab_folders():
        for place in sorted(root.glob("*/.*")):
            if place.is_dir() and not place.is_symlink():
                by_hand = f"rm -r {place}, when no ckgit works there"
                clean = f"ckgit clean {place.parent.name} --work"
                yield warning(f"{place} was left half done", clean if place.name.startswith(".removed-") else by_hand)
    for lock in sorted([*lab.git_dir.glob("*.lock"), *lab.git_dir.glob("refs/**/*.lock")]):
        if _age(lock) > _OLD:
            yield warning(f"{lock} is {_age(lock) / 60:.0f} minutes old, and git waits for it", f"rm {lock}, when no git runs")
    for journal in sorted((lab.git_dir / "ckgit").glob("checkout-*.json")):
        name = journal.stem.removeprefix("checkout-exp-")
        yield warning(f"a checkout of exp/{name} is not yet where its branch is", f"ckgit status {name}")


def _age(path: Path) -> float:
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime
    return 0.0
