"""Folders that one process holds while it works in them: others see that it does, and a process that was killed lets go."""

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
        if not os.path.samestat(os.fstat(descriptor), folder.stat()):
            raise FileNotFoundError(folder)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def made_and_held(make: Callable[[], Path]) -> Iterator[tuple[Path, bool]]:
    """Make a folder and hold it; whoever had it before it was held, to look whether it is used, is waited for.

    Yields:
        The folder, and whether it is held: a file system may have no locks.
    """
    with contextlib.ExitStack() as stack:
        while True:
            folder = make()
            try:
                stack.enter_context(held(folder, wait=True))
            except FileNotFoundError:
                continue  # another process took it for one that is left, and removed it
            except OSError:
                is_held = False
            else:
                is_held = True
            break
        yield folder, is_held
