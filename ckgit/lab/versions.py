"""Two versions of ckgit in one lab: an older one writes nothing over what a newer one wrote."""

from __future__ import annotations

from ckgit import __version__
from ckgit.errors import CkgitError, Exit


def newer_version(name: str, version: str) -> CkgitError | None:
    """What is to be said where the last step of an experiment was made by a newer ckgit; None where it was not.

    The third number of a version changes nothing that is written.

    Args:
        version: as the step's trailer has it; what is no version is no newer one.
    """
    if version in ("", __version__):
        return None
    from packaging.version import InvalidVersion, Version

    try:
        if Version(version).release[:2] <= Version(__version__).release[:2]:
            return None
    except InvalidVersion:
        return None
    return CkgitError(
        f"the last step of {name} was made by ckgit {version}, which is newer than this one, {__version__}",
        code=Exit.TOOL_MISSING,
        where=f"exp/{name}",
        state="nothing was written",
        next="upgrade ckgit: pip install --upgrade ckgit",
    )
