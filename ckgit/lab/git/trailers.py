"""The trailers of ckgit's commits, as git's own parser finds them."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple

import ckgit
from ckgit import __version__
from ckgit.errors import CkgitError, Exit
from ckgit.experiment import lifecycle
from ckgit.experiment.lifecycle import STEP_TRAILERS, TRAILERS

# The whole block as it was written: where git picks keys, a user's trailer.NAME.key renames them.
_LINE = re.compile(rf"({'|'.join(TRAILERS)}): (.*)")
REF_ATOM = "%(contents:trailers)"  # in a format of for-each-ref
LOG_ATOM = "%(trailers)"  # in a format of rev-list


class Trailers(NamedTuple):
    """What a commit of ckgit's recorded. `source` is `none` for the first one."""

    event: str
    source: str
    target: str
    design: str
    version: str = ""  # of the ckgit that made it; empty where it does not say so
    build: str = ""  # digest of its files; empty likewise

    @property
    def standing(self) -> str:
        """Where the experiment stands after it, as the lifecycle calls it."""
        return lifecycle.standing(self.event, self.target)


def parse_trailers(text: str, name: str) -> Trailers | None:
    """What git printed for one of the atoms; None when the commit is not ckgit's, or not of experiment `name`."""
    pairs = [(match[1], match[2]) for line in text.splitlines() if (match := _LINE.fullmatch(line))]
    found = dict(pairs)
    if len(found) != len(pairs) or not found.keys() >= set(STEP_TRAILERS) or found["Ckgit-Experiment"] != name:
        return None
    return Trailers(*(found.get(key, "") for key in TRAILERS[1:]))


@functools.cache
def build() -> str:
    """What tells the installed ckgit from another one of its version: the digest of its files, 16 digits.

    An installed package and a checkout of the same files have the same. It takes 20 ms, so only who commits or verifies asks.
    """
    top, digest = Path(ckgit.__file__).parent, hashlib.sha256()
    places = ((Path(folder), name) for folder, _, names in os.walk(top) for name in names if name.endswith(".py"))
    files = {(folder / name).relative_to(top).as_posix(): folder / name for folder, name in places}
    for path, file in sorted(files.items()):
        content = file.read_bytes()
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


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
