"""archive --restore: an archive is checked as a whole, then its refs, notes and files come into this lab; nothing here is replaced."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.names import name_problem
from ckgit.formats.listing import in_words
from ckgit.lab.experiments import list_experiments
from ckgit.lab.git.anchors import ANCHORS
from ckgit.lab.git.command import has_commit, is_ancestor
from ckgit.lab.git.notes import add_line
from ckgit.lab.git.tips import CLOSED, RESCUED, TIPS
from ckgit.lab.history.bundles import read_bundle, refs_at, refs_in
from ckgit.lab.history.reproductions import REF
from ckgit.lab.lab import BRANCHES, Lab
from ckgit.orchestrators.engine.orphans import TREE
from ckgit.orchestrators.upkeep.archive import WrittenArchive
from ckgit.orchestrators.upkeep.manifest import BUNDLE_FILE, FILES, MANIFEST_FILE, ArchiveManifest
from ckgit.orchestrators.upkeep.scratch import scratch

_STATE = "nothing was restored"
_MOST = 1 << 28  # bytes of a manifest


def restore(lab: Lab, file: Path, *, dry_run: bool = False) -> WrittenArchive:
    """Bring an archived experiment into a lab; on a dry run, check all of the archive and bring nothing.

    Raises:
        CkgitError: USAGE, it is no archive, or another experiment has its name here; EVIDENCE_MISSING, it is damaged; COMMAND_FAILED, git
            or the system refuses.
    """
    try:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        with tarfile.open(file, "r:") as tar, scratch(lab.git_dir, ".ckgit-restore-") as folder:
            manifest = _manifest(tar, file)
            _refuse_taken(lab, manifest)
            _extract(tar, manifest, folder, file)
            if refs_in(lab.root, folder / BUNDLE_FILE) != manifest.refs or manifest.commit not in manifest.refs.values():
                raise _damaged(file, "its bundle does not have the refs that manifest.json lists")
            if not dry_run:
                _take(lab, manifest, folder)
    except tarfile.TarError as error:
        raise _damaged(file, f"it cannot be read: {error}") from error
    except OSError as error:
        what, where = error.strerror or str(error), str(error.filename or file)
        raise CkgitError(what, code=Exit.COMMAND_FAILED, where=where, state=_STATE, next="mend that, and try again") from error
    return WrittenArchive(file, file.stat().st_size, digest, manifest)


def _manifest(tar: tarfile.TarFile, file: Path) -> ArchiveManifest:
    """The list of what it has, which must be that of an experiment, and no more than it names may be there."""
    members = tar.getmembers()
    last = members[-1] if members else None
    content = tar.extractfile(last) if last and last.name == MANIFEST_FILE and last.isreg() and last.size <= _MOST else None
    if content is None:
        if members and members[0].name == BUNDLE_FILE:  # which every archive begins with
            raise _damaged(file, "it was cut short: it ends before manifest.json, its last member")
        what = "it is no archive of ckgit's: its last member is not manifest.json"
        raise CkgitError(what, code=Exit.USAGE, where=str(file), state=_STATE, next="ckgit archive NAME writes one")
    try:
        manifest = ArchiveManifest.model_validate_json(content.read())
    except ValidationError as error:
        raise _damaged(file, f"its manifest.json cannot be read: {error.errors()[0]['msg']}") from error
    listed = [*manifest.files, MANIFEST_FILE]
    if sorted(each.name for each in members) != sorted(listed) or not all(each.isreg() for each in members) or BUNDLE_FILE not in listed:
        raise _damaged(file, "its manifest.json does not list what it has")
    if wrong := next(_unfit(manifest), None):
        raise _damaged(file, f"{wrong!r} is nothing that an archive of one experiment has")
    return manifest


def _unfit(manifest: ArchiveManifest) -> Iterator[str]:
    """Names in it that no archive of ours has, and that may lead elsewhere."""
    name = manifest.experiment
    if name_problem(name):
        yield name
    own, below = (f"{BRANCHES}{name}", f"{CLOSED}{name}", f"{TIPS}{name}"), (f"{RESCUED}{name}/", f"{ANCHORS}{name}/")
    yield from (ref for ref in manifest.refs if ref not in own and not ref.startswith(below))
    for member in manifest.files:
        parts = PurePosixPath(member.removeprefix(FILES)).parts
        inside = member.startswith(FILES) and len(parts) > 1 and TREE.fullmatch(parts[0]) and not {"..", ".", "/"} & set(parts)
        if member != BUNDLE_FILE and not inside:
            yield member


def _refuse_taken(lab: Lab, manifest: ArchiveManifest) -> None:
    """Check that its name is not another experiment's here, nor any of its refs at another commit."""
    name, here = manifest.experiment, refs_at(lab.root, *manifest.refs)
    moved = [ref for ref, oid in here.items() if manifest.refs[ref] != oid]
    row = next((row for row in list_experiments(lab, kept=True) if row.name == name), None)
    other = row is not None and not here and not _goes_on(lab, manifest, row.tip)
    if moved or other:
        what = f"this lab has {moved[0] if moved else f'another experiment {name}'}, which the archive would replace"
        onward = f"ckgit log {name} shows what is here; an archive can be restored into a lab of its own: ckgit init DIR"
        raise CkgitError(what, code=Exit.USAGE, where=name, state=_STATE, next=onward)


def _goes_on(lab: Lab, manifest: ArchiveManifest, tip: str) -> bool:
    """Whether a commit of this lab is the archived branch, or goes on from it."""
    return has_commit(lab.root, manifest.commit) and is_ancestor(lab.root, manifest.commit, tip)


def _extract(tar: tarfile.TarFile, manifest: ArchiveManifest, folder: Path, file: Path) -> None:
    """Write each member below a folder, and hold it against its digest."""
    for member in tar.getmembers():
        if member.name == MANIFEST_FILE:
            continue
        target = folder / member.name
        target.parent.mkdir(parents=True, exist_ok=True)
        content = tar.extractfile(member)
        with target.open("xb") as out:
            shutil.copyfileobj(content, out)  # type: ignore[arg-type]  # a plain file, as was checked
        with target.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        if digest != manifest.files[member.name].sha256:
            said = manifest.files[member.name].sha256
            raise _damaged(file, f"{member.name} has SHA-256 {digest[:12]}…, and the manifest says {said[:12]}…")


def _take(lab: Lab, manifest: ArchiveManifest, folder: Path) -> None:
    """Files first, then refs, by which the experiment is there; notes last. What fails says what is in place by then."""
    cluster = manifest.cluster if manifest.cluster in lab.config.clusters else None
    trees = sorted((folder / FILES).iterdir()) if (folder / FILES).is_dir() else []
    done: list[str] = []
    try:
        for tree in trees:
            target = lab.work_root(cluster) / lab.config.name / manifest.experiment / tree.name
            if not target.exists():
                _bring(tree, target)
                done.append(str(target))
        _bring_refs(lab, manifest, folder / BUNDLE_FILE)
        done.append("its refs")
        for oid, lines in manifest.notes.items():
            for line in lines:
                add_line(lab.root, REF, oid, line, subject=f"restored with {manifest.experiment}")
    except CkgitError as error:
        error.state = f"only a part was restored, which stays, and the same command brings the rest: {in_words(done)}" if done else _STATE
        raise


def _bring_refs(lab: Lab, manifest: ArchiveManifest, bundle: Path) -> None:
    """Take the refs that are not here yet; another process may bring the same ones just now."""
    here = refs_at(lab.root, *manifest.refs)
    if lacking := [ref for ref in manifest.refs if ref not in here]:
        try:
            read_bundle(lab.root, bundle, lacking)
        except CkgitError:
            if refs_at(lab.root, *manifest.refs) != manifest.refs:
                raise


def _bring(tree: Path, target: Path) -> None:
    """Put a work tree in its place, whole or not at all; another process may be faster, with the same one.

    Raises:
        CkgitError: COMMAND_FAILED, it cannot be written there.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch(target.parent, f".{target.name}-restoring-") as folder:
            part = folder / FILES
            shutil.copytree(tree, part)
            part.rename(target)
    except OSError as error:
        if target.is_dir():
            return
        first = error.args[0][0][-1] if isinstance(error, shutil.Error) else error.strerror or error  # each of many files says the same
        what, onward = f"its files cannot be written there: {first}", "make room there, and try again"
        raise CkgitError(what, code=Exit.COMMAND_FAILED, where=str(target), state=_STATE, next=onward) from error


def _damaged(file: Path, what: str) -> CkgitError:
    return CkgitError(what, code=Exit.EVIDENCE_MISSING, where=str(file), state=_STATE, next="bring an undamaged copy of the file")
