"""The trailers of ckgit's commits, as git's own parser finds them."""

from __future__ import annotations

import re
from typing import NamedTuple

from ckgit import __version__
from ckgit.errors import CkgitError, Exit

_KEYS = ("Experiment", "Event", "From", "To", "Design")
# The whole block as it was written: where git picks keys, a user's trailer.NAME.key renames them.
_LINE = re.compile(rf"Ckgit-({'|'.join(_KEYS)}|Version): (.*)")
REF_ATOM = "%(contents:trailers)"  # in a format of for-each-ref
LOG_ATOM = "%(trailers)"  # in a format of rev-list


class Trailers(NamedTuple):
    """What a commit of ckgit's recorded. `source` is `none` for the first one."""

    event: str
    source: str
    target: str
    design: str
    version: str = ""  # of the ckgit that made it; empty where it does not say so


def parse_trailers(text: str, name: str) -> Trailers | None:
    """What git printed for one of the atoms; None when the commit is not ckgit's, or not of experiment `name`."""
    pairs = [(match[1], match[2]) for line in text.splitlines() if (match := _LINE.fullmatch(line))]
    found = dict(pairs)
    if len(found) != len(pairs) or found.keys() - {"Version"} != set(_KEYS) or found["Experiment"] != name:
        return None
    return Trailers(found["Event"], found["From"], found["To"], found["Design"], found.get("Version", ""))


def newer_version(name: str, version: str) -> CkgitError | None:
    """What is to be said where the last step of an experiment was made by a newer ckgit; None where it was not.

    The third number of a version changes nothing that is written.

    Args:
        version: as the step's trailer has it; what is no version is no newer one.
    """
    if version in ("", __version__):
        return None
    from packaging.version import Version

    try:
        if Version(version).release[:2] <= Version(__version__).release[:2]:
            return None
    except ValueError:  # also of a number that is too long for Python
        return None
    return CkgitError(
        f"the last step of {name} was made by ckgit {version}, which is newer than this one, {__version__}",
        code=Exit.TOOL_MISSING,
        where=f"exp/{name}",
        state="nothing was written",
        next="upgrade ckgit: pip install --upgrade ckgit",
    )
