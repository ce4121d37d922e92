"""The work tree: a copy of what jobs need, at one commit, where they run."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.formats.listing import in_words
from ckgit.formats.plain_json import read_json
from ckgit.lab.git.objects import REGULAR, Entry, read_objects, tree_entries
from ckgit.lab.held import own_part
from ckgit.lab.lab import Lab

_MANIFEST = ".ckgit/export.json"
_PART = 1 << 20
_AT_ONCE = 1000  # files read by one git call, so that a large export needs little memory


class JobInputs(NamedTuple):
    """What jobs need of a commit, and what of it may lie outside of the lab."""

    experiment: str
    commit: str
    paths: Sequence[str]  # files, and folders with a slash at the end
    data: Sequence[tuple[str, str | None]]  # each data file with its SHA-256; None where the design records none
    data_root: str  # folder of the cluster where those lie that the lab does not hold; may be empty


def export_work_tree(lab: Lab, inputs: JobInputs, target: Path, model_folders: Mapping[str, Path]) -> Path:
    """Export a commit to a folder `<work_root>/<lab>/<experiment>/<commit>`, and return it.

    It appears whole or not at all; where it exists already, its files are checked, and nothing is written but links to models that moved.

    Args:
        model_folders: the real folder of each model card, linked as `models/NAME`.

    Raises:
        CkgitError: USAGE, a link or submodule in the experiment's folder; EVIDENCE_MISSING, a file outside of the lab is missing
            or has changed, or an earlier export lost files; COMMAND_FAILED, it cannot be written.
    """
    entries = _entries(lab, inputs)
    if target.is_dir():
        lead(target, {name: folder for name, folder in model_folders.items() if _is_due(target / "models" / name, folder)})
        _verify(target)
        return target
    outside = _outside(lab, inputs, {entry.path for entry in entries})
    try:
        hide_from_git(lab, target)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent, ignore_cleanup_errors=True) as folder:
            part = Path(folder) / "tree"
            _fill(lab, part, entries, {**{f"models/{name}": path for name, path in model_folders.items()}, **outside})
            _publish(part, target)
    except OSError as error:
        raise CkgitError(
            f"the work tree cannot be written: {error}",
            code=Exit.COMMAND_FAILED,
            where=str(target),
            state="no job was submitted, and what was written has been removed",
            next="make room or mend the permissions, then run the same command again; work_root in ckgit.toml moves it elsewhere",
        ) from error
    return target


def _entries(lab: Lab, inputs: JobInputs) -> list[Entry]:
    """Files of the commit that jobs need; links are refused, since they could lead out of the work tree."""
    entries = tree_entries(lab.root, inputs.commit, *inputs.paths, recursive=True)
    for entry in entries:
        if entry.mode not in REGULAR:
            raise CkgitError(
                f"{entry.path} is a {'submodule' if entry.kind == 'commit' else 'symbolic link'}; jobs get plain files only",
                code=Exit.USAGE,
                where=f"exp/{inputs.experiment} at {inputs.commit[:12]}",
                state="nothing was exported or submitted",
                next="replace it by a plain file on the branch",
            )
    return entries


def _outside(lab: Lab, inputs: JobInputs, present: set[str]) -> dict[str, Path]:
    """Data that the lab does not hold: the real file of each path, its digest checked."""
    found: dict[str, Path] = {}
    for path, digest in inputs.data:
        if path in present:
            continue
        file = lab.folder(inputs.data_root) / path
        if not inputs.data_root or not file.is_file() or digest is None:
            missing = "is neither in the lab nor under the cluster's data_root"
            raise _data_error(path, missing if digest else "needs its sha256 in the design")
        if (actual := _sha256(file)) != digest:
            raise _data_error(str(file), f"has changed: its SHA-256 is {actual[:12]}…, and the design says {digest[:12]}…")
        found[path] = file.resolve()
    return found


def _data_error(path: str, what: str) -> CkgitError:
    return CkgitError(
        f"data file {path} {what}",
        code=Exit.EVIDENCE_MISSING,
        state="nothing was exported or submitted",
        next="restore the file, or set data_root in the cluster's profile in ckgit.toml",
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hide_from_git(lab: Lab, target: Path) -> None:
    """A folder of ours in the lab ignores itself, whatever .gitignore the repository came with."""
    if not target.is_relative_to(lab.home):
        return
    top = lab.home / target.relative_to(lab.home).parts[0]
    if not top.exists():
        top.mkdir()
        (top / ".gitignore").write_text("*\n", encoding="utf-8")


def _fill(lab: Lab, part: Path, entries: list[Entry], links: Mapping[str, Path]) -> None:
    sizes = {}
    for entry, content in _contents(lab, entries):
        file = part / entry.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o755 if entry.mode == REGULAR[1] else 0o644)
        sizes[entry.path] = len(content)
    for path, goal in links.items():
        (part / path).parent.mkdir(parents=True, exist_ok=True)
        (part / path).symlink_to(goal)
    manifest = part / _MANIFEST
    manifest.parent.mkdir()
    document = {"files": sizes, "links": {path: str(goal) for path, goal in links.items()}}
    manifest.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _contents(lab: Lab, entries: list[Entry]) -> Iterator[tuple[Entry, bytes]]:
    for at in range(0, len(entries), _AT_ONCE):
        some = entries[at : at + _AT_ONCE]
        for entry, content in zip(some, read_objects(lab.root, [entry.oid for entry in some]), strict=True):
            if content is None:
                what = f"git has lost the content of {entry.path}"
                raise CkgitError(what, code=Exit.COMMAND_FAILED, where=str(lab.root), next="git fsck names what is missing")
            yield entry, content


def _publish(part: Path, target: Path) -> None:
    """Rename; another process may have been faster with the same bytes."""
    try:
        part.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        _verify(target)


def _is_due(link: Path, folder: Path) -> bool:
    """Whether a link leads nowhere, or to where its model is now, as a command may have left it that was killed before it listed that."""
    return not link.is_dir() or _goal(link) == str(folder)


def lead(target: Path, model_folders: Mapping[str, Path]) -> None:
    """Lead the links of models in an export to where their folders are now; a folder that somebody has put in the place of one stays.

    Raises:
        CkgitError: COMMAND_FAILED, they cannot be written.
    """
    links = {target / "models" / name: folder for name, folder in model_folders.items()}
    try:
        for link, folder in links.items():
            if _goal(link) != str(folder) and (link.is_symlink() or not link.exists()):
                part = own_part(link)
                part.unlink(missing_ok=True)
                part.symlink_to(folder)
                part.replace(link)
        if links:
            _list_links(target / _MANIFEST, {f"models/{link.name}": goal for link in links if (goal := _goal(link))})
    except OSError as error:
        raise CkgitError(
            f"the links of its models cannot be led to where these are now: {error.strerror}",
            code=Exit.COMMAND_FAILED,
            where=str(target),
            state="no job was submitted",
            next="make room or mend the permissions, then run the same command again",
        ) from error


def _list_links(manifest: Path, links: Mapping[str, str]) -> None:
    """Have an export's list name the links as they are. A list that is damaged stays so."""
    try:
        document = read_json(manifest.read_bytes())
        listed = {**document["links"], **links}
    except (OSError, ValueError, KeyError, TypeError):
        return
    if listed != document["links"]:
        part = own_part(manifest)
        part.write_text(json.dumps({**document, "links": listed}, indent=1) + "\n", encoding="utf-8")
        part.replace(manifest)


def _verify(target: Path) -> None:
    """Check that an export still holds the files it was made with, by their sizes; jobs check their digests."""
    try:
        manifest = read_json((target / _MANIFEST).read_bytes())
        wrong = [path for path, size in manifest["files"].items() if _size(target / path) != size]
        wrong += [path for path, goal in manifest["links"].items() if _goal(target / path) != goal]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(target, f"its {_MANIFEST} cannot be read ({error})") from error
    if wrong:
        raise _damaged(target, f"files are missing or were changed: {in_words(wrong)}")


def _size(file: Path) -> int | None:
    return file.stat().st_size if file.is_file() else None


def _goal(link: Path) -> str | None:
    return str(link.readlink()) if link.is_symlink() else None


def _damaged(target: Path, what: str) -> CkgitError:
    return CkgitError(
        f"the work tree was damaged after its export: {what}",
        code=Exit.EVIDENCE_MISSING,
        where=str(target),
        state="nothing was submitted; the folder may hold results, so ckgit leaves it",
        next=f"mend it, or move it away (mv {target} {target}.old) to have it exported anew",
    )
