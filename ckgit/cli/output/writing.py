"""Files that an option names: each is written whole or not at all, and over nothing but what ckgit itself has written there.

Most kinds of file have no place in which to say whose they are. So the digest of what was written is kept in the repository's folder, by
the file's path; what has another one is somebody's own, or was changed since, and is left alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ckgit.errors import CkgitError, Exit

if TYPE_CHECKING:
    from ckgit.lab.lab import Lab

_WRITTEN = "ckgit/written"  # in the repository's folder: a file for each that was written, which may be deleted at any time


def write_file(lab: Lab, file: Path, content: bytes) -> None:
    """Write a file.

    Raises:
        CkgitError: USAGE, somebody else's is there; COMMAND_FAILED, it cannot be written.
    """
    write_files(lab, {file: content})


def write_files(lab: Lab, files: Mapping[Path, bytes]) -> None:
    """Write several files, none where one would be written over somebody else's; a pipe, or what is no file otherwise, just gets it.

    Raises:
        CkgitError: as `write_file`.
    """
    refuse_others(lab, files)
    for file, content in files.items():
        if _is_stream(file):
            with _told(file):
                file.write_bytes(content)
        else:
            with replacing(lab, file) as part:
                part.write_bytes(content)


@contextlib.contextmanager
def replacing(lab: Lab, file: Path) -> Iterator[Path]:
    """A path beside a file, which takes its place at the end; where that is not reached, the file is as it was.

    Raises:
        CkgitError: as `write_file`; also for an OSError of who writes there.
    """
    refuse_others(lab, [file])
    target = file.resolve()  # what a link leads to, and not the link
    part = target.with_name(f".ckgit-{os.getpid()}")
    try:
        with _told(file):
            yield part
            if target.exists():
                part.chmod(target.stat().st_mode)
            _remember(lab, target, part)
            part.replace(target)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def refuse_others(lab: Lab, files: Iterable[Path]) -> None:
    """Raise where a file is there that ckgit has not left so.

    Raises:
        CkgitError: USAGE.
    """
    for file in files:
        if file.is_dir():
            raise CkgitError("it is a folder", code=Exit.USAGE, where=str(file), state="nothing was written", next="name a file in it")
        if not _is_stream(file) and file.exists() and not _is_ours(lab, file.resolve()):
            what = "a file is there that ckgit did not write, or that was changed since"
            onward = "name another file, or move this one away"
            raise CkgitError(what, code=Exit.USAGE, where=str(file), state="nothing was written", next=onward)


def write_new(file: Path, content: bytes) -> None:
    """Write a file that is not there yet, as one that is for somebody to go on with.

    Raises:
        CkgitError: USAGE, it is there; COMMAND_FAILED, it cannot be written.
    """
    with _told(file):
        try:
            opened = file.open("xb")
        except FileExistsError:
            what = "there is a file already"
            raise CkgitError(what, code=Exit.USAGE, where=str(file), state="nothing was written", next="name a new file") from None
        try:
            with opened:
                opened.write(content)
        except OSError:
            file.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def _told(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"it cannot be written: {error.strerror or error}"
        onward = "make room there, or name another place"
        raise CkgitError(what, code=Exit.COMMAND_FAILED, where=str(file), next=onward) from None


def _is_stream(file: Path) -> bool:
    """Whether it is a pipe or a device, as /dev/stdout."""
    return file.exists() and not file.is_file() and not file.is_dir()


def _is_ours(lab: Lab, target: Path) -> bool:
    if target.is_relative_to((lab.home / ".ckgit").resolve()) or target.stat().st_size == 0:  # of an empty one nothing is lost
        return True
    with contextlib.suppress(OSError):
        return _record(lab, target).read_text(encoding="ascii") == _digest(target)
    return False


def _remember(lab: Lab, target: Path, part: Path) -> None:
    with contextlib.suppress(OSError):  # somebody else's repository: then the file is left alone the next time
        record = _record(lab, target)
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(_digest(part), encoding="ascii")


def _record(lab: Lab, target: Path) -> Path:
    return lab.git_dir / _WRITTEN / hashlib.sha256(os.fsencode(target)).hexdigest()[:32]


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
