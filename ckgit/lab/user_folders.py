"""Folders of the user's own, by the XDG base directory rules; a user of a batch system or a container may have no home."""

from __future__ import annotations

import os
from pathlib import Path

from ckgit.errors import CkgitError, Exit

_DEFAULTS = {"XDG_CONFIG_HOME": ".config", "XDG_DATA_HOME": ".local/share", "XDG_CACHE_HOME": ".cache"}


def user_folder(variable: str) -> Path | None:
    """The folder of ckgit in the one that an XDG variable names, which need not exist; None where the user has no home.

    A relative one is invalid by those rules, and does not count.
    """
    named = Path(os.environ.get(variable, ""))
    if named.is_absolute():
        return named / "ckgit"
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - pathlib's own raises where there is none
    return home / _DEFAULTS[variable] / "ckgit" if home.is_absolute() else None


def needed_user_folder(variable: str) -> Path:
    """Like `user_folder`, where there must be one.

    Raises:
        CkgitError: USAGE, the user has no home.
    """
    if (folder := user_folder(variable)) is None:
        raise no_home(f"set HOME or {variable} to a folder that you can write to")
    return folder


def expanded(text: str) -> Path:
    """A path that a configuration names, with `~` replaced.

    Raises:
        CkgitError: USAGE, the user that is meant has no home.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise no_home(f"set HOME, or write {text} as a full path in ckgit.toml") from None


def no_home(next: str) -> CkgitError:
    """There is no home folder; `next` says what to do."""
    return CkgitError("the user has no home folder: HOME is not set, and the system knows none", code=Exit.USAGE, next=next)
