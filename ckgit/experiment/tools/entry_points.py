"""What installed packages bring to ckgit: found through entry points, those of other packages and our own, alike."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, distributions, entry_points
from typing import Any

from ckgit.errors import CkgitError, Exit


def every(group: str) -> Iterator[EntryPoint]:
    """Every entry point of a group."""
    yield from _installed(group, tuple(sys.path))


@functools.cache
def _installed(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:  # noqa: ARG001 - `path` is what the answer depends on
    """Entry points of a group in all that is installed on a path. To look takes milliseconds, and a command asks several times."""
    return tuple(entry_points(group=group))


def likely(group: str, name: str) -> Iterator[EntryPoint]:
    """Entry points of a group, the likeliest for a name first; another package's broken one is no matter for whoever does not use it.

    Ours are the ones most wanted, and looking into one package is quicker than into all that are installed.
    """
    for package in distributions(name="ckgit"):
        yield from sorted(package.entry_points.select(group=group), key=lambda entry: not name.startswith(entry.name))
    yield from sorted(every(group), key=lambda entry: not name.startswith(entry.name))


def load(entry: EntryPoint, parts: tuple[str, ...]) -> Any:
    """What an entry point names.

    Args:
        parts: what it must have.

    Raises:
        CkgitError: it cannot be loaded, or lacks a part; names its package.
    """
    try:
        loaded = entry.load()
    except Exception as error:  # whatever foreign code raises, the package is to be named
        raise _broken(entry, f"{type(error).__name__}: {error}") from error
    refuse_lacking(entry, loaded, parts)
    return loaded


def refuse_lacking(entry: EntryPoint, loaded: Any, parts: tuple[str, ...]) -> None:
    """Raise where what an entry point names lacks a part.

    Raises:
        CkgitError: TOOL_MISSING.
    """
    if missing := [part for part in parts if not hasattr(loaded, part)]:
        raise _broken(entry, f"it lacks {', '.join(missing)}")


def _broken(entry: EntryPoint, why: str) -> CkgitError:
    package = package_of(entry)
    ours = "its installation is older than its code: install ckgit again, as you did (in a clone: pip install -e .)"
    return CkgitError(
        f"{entry.group} {entry.name!r} of package {package} cannot be loaded: {why}",
        code=Exit.TOOL_MISSING,
        next=ours if package == "ckgit" else f"mend or remove it: pip uninstall {package}",
    )


def package_of(entry: EntryPoint) -> str:
    """The package that brought it."""
    return entry.dist.name if entry.dist else "(unknown)"
