"""Folders and lock files that one process holds while it works: others see that it does, and a process that was killed lets go."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def held(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a folder.

    Args:
        wait: whether to wait for another process that holds it.

    Raises:
        BlockingIOError: another process holds it.
        FileNotFoundError: there is none, or it was removed or renamed before it was held.
        OSError: the file system has no locks.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        if not _is_still(folder, descriptor):
            raise FileNotFoundError(folder)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def made_and_held(make: Callable[[], Path]) -> Iterator[Path]:
    """Make a folder and hold it, where the file system has locks; whoever holds it to look whether it is used is waited for."""
    with contextlib.ExitStack() as stack:
        while True:
            folder = make()
            try:
                stack.enter_context(held(folder, wait=True))
            except FileNotFoundError:
                continue  # another process took it for one that is left, and removed it
            except OSError:  # no locks: there nothing that is left is removed either
                pass
            break
        yield folder


@contextlib.contextmanager
def locked(file: Path) -> Iterator[bool]:
    """Hold a lock file, which is there for as long; another process that holds it is waited for.

    Yields:
        Whether it is held: a file system may have no locks. Over NFS, files have them that are open for writing, and folders have none.

    Raises:
        OSError: it cannot be made.
    """
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            is_held = _is_locked(descriptor)
            if is_held and not _is_still(file, descriptor):
                continue  # who held it has removed it
            try:
                yield is_held
            finally:
                file.unlink(missing_ok=True)
            return
        finally:
            os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether what is open is what is there."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def own_part(path: Path) -> Path:
    """Where this process writes what is to stand there; another one, of this machine or not, may write the same meanwhile."""
    return path.with_name(f".{path.name}-{os.uname().nodename}-{os.getpid()}")
