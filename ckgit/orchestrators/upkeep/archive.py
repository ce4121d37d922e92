"""archive: one file with an experiment's branch, its other refs, its notes, and files of its work trees where they are asked for."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit import __version__
from ckgit.errors import CkgitError, Exit
from ckgit.lab.git.anchors import ANCHORS
from ckgit.lab.git.command import git_lines
from ckgit.lab.git.notes import notes_tip, read_notes
from ckgit.lab.git.tips import CLOSED, RESCUED, TIPS
from ckgit.lab.history.bundles import refs_at, write_bundle
from ckgit.lab.history.reproductions import REF
from ckgit.lab.lab import BRANCHES, Lab
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.queries.in_flight import refuse_in_flight
from ckgit.orchestrators.upkeep.disk import TreeOnDisk, look_at
from ckgit.orchestrators.upkeep.manifest import BUNDLE_FILE, FILES, MANIFEST_FILE, ArchivedFile, ArchiveManifest

LOGS, CHECKPOINTS = "logs", "checkpoints"
_MOST_OF_A_NOTE = 1 << 20  # bytes


class WrittenArchive(NamedTuple):
    """An archive that was written, or read."""

    file: Path
    bytes: int
    sha256: str
    manifest: ArchiveManifest


class ArchiveMember(NamedTuple):
    """A file of a work tree."""

    name: str  # in the archive
    path: Path
    bytes: int


class PlannedArchive(NamedTuple):
    """What an archive would have."""

    snapshot: Snapshot
    refs: dict[str, str]  # commits by ref
    cluster: str  # profile in whose work root the files lie; empty without files
    members: Sequence[ArchiveMember]


def plan_archive(lab: Lab, name: str, target: Path, parts: Sequence[str]) -> PlannedArchive:
    """What an archive would have; nothing is written.

    Args:
        target: the new file.
        parts: what it has of work trees: `logs`, which are all files but checkpoints, and `checkpoints`.

    Raises:
        CkgitError: USAGE, the file is there, or there is no such experiment; IN_FLIGHT, jobs of it may run.
    """
    snapshot = take_snapshot(lab, name, kept=True)
    refuse_in_flight(lab, snapshot)
    if target.exists():
        what = "there is such a file, and an archive is written over nothing"
        raise CkgitError(what, code=Exit.USAGE, where=str(target), state="nothing was written", next="name another one: --output FILE")
    trees = [tree for tree in look_at(lab, name, None).trees if tree.ours and not tree.copy] if parts else []
    members = [member for tree in trees for member in _members(tree, parts)]
    return PlannedArchive(snapshot, _refs(lab, snapshot), trees[0].cluster if trees else "", members)


def archive(lab: Lab, planned: PlannedArchive, target: Path) -> WrittenArchive:
    """Write an archive, whole or not at all.

    Raises:
        CkgitError: COMMAND_FAILED, it cannot be written, or a file changed meanwhile.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent, ignore_cleanup_errors=True) as folder:
            whole = _write(lab, planned, Path(folder))
            os.link(whole.file, target)  # unlike a rename, it replaces nothing
    except OSError as error:
        what = f"the archive cannot be written: {error.strerror or error}"
        raise CkgitError(what, code=Exit.COMMAND_FAILED, where=str(target), state="nothing was written", next="make room there") from error
    return whole._replace(file=target)


def _write(lab: Lab, planned: PlannedArchive, folder: Path) -> WrittenArchive:
    bundle, file = folder / BUNDLE_FILE, folder / "archive"
    write_bundle(lab.root, bundle, list(planned.refs))
    with tarfile.open(file, "x", format=tarfile.PAX_FORMAT) as tar:
        files = {BUNDLE_FILE: _add(tar, BUNDLE_FILE, bundle)}
        files |= {member.name: _add(tar, member.name, member.path) for member in planned.members}
        manifest = ArchiveManifest(
            experiment=planned.snapshot.name,
            lab=lab.config.name,
            version=__version__,
            commit=planned.snapshot.tip,
            refs=planned.refs,
            notes=_notes(lab, planned.snapshot),
            cluster=planned.cluster,
            files=files,
        )
        content = (manifest.model_dump_json(indent=2) + "\n").encode()
        tar.addfile(_info(MANIFEST_FILE, len(content)), io.BytesIO(content))
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return WrittenArchive(file, file.stat().st_size, digest, manifest)


def _refs(lab: Lab, snapshot: Snapshot) -> dict[str, str]:
    """The experiment's own refs; one whose branch is gone gets it back from what keeps it."""
    name = snapshot.name
    found = refs_at(lab.root, f"{BRANCHES}{name}", f"{CLOSED}{name}", f"{TIPS}{name}", f"{RESCUED}{name}/", f"{ANCHORS}{name}/")
    if not {f"{BRANCHES}{name}", f"{CLOSED}{name}"} & found.keys():
        raise CkgitError(
            f"{name} has no branch here, and it is not closed: {snapshot.kept or 'a remote'} has it",
            code=Exit.USAGE,
            where=name,
            state="nothing was written",
            next=f"git branch exp/{name} {snapshot.tip[:12]} makes the branch",
        )
    return found


def _notes(lab: Lab, snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    """Lines of notes on the experiment's own commits."""
    tip = notes_tip(lab.root, REF)
    if not tip:
        return {}
    own = set(git_lines(lab.root, "rev-list", snapshot.tip))
    notes = read_notes(lab.root, tip, most=_MOST_OF_A_NOTE)
    return {oid: tuple(content.decode(errors="replace").splitlines()) for oid, content in sorted(notes.items()) if oid in own}


def _members(tree: TreeOnDisk, parts: Sequence[str]) -> Iterator[ArchiveMember]:
    """Plain files of a work tree; what links lead to is none of it."""
    checkpoints = [each.path for each in tree.checkpoints]
    for path in sorted(tree.work.rglob("*")):
        part = CHECKPOINTS if any(path.is_relative_to(each) for each in checkpoints) else LOGS
        if part in parts and path.is_file() and not path.is_symlink():
            name = f"{FILES}{tree.work.name}/{path.relative_to(tree.work).as_posix()}"
            yield ArchiveMember(name, path, path.stat().st_size)


def _add(tar: tarfile.TarFile, name: str, path: Path) -> ArchivedFile:
    """Add a file, and say what was added."""
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        read = _Hashing(stream)
        tar.addfile(_info(name, size), read)  # it reads, and that is all
    return ArchivedFile(bytes=size, sha256=read.digest.hexdigest())


class _Hashing:
    """A stream whose bytes are hashed as they are read."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self.stream, self.digest = stream, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        found = self.stream.read(size)
        self.digest.update(found)
        return found


def _info(name: str, size: int) -> tarfile.TarInfo:
    """A member that tells nothing of this machine: neither user nor time."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info
