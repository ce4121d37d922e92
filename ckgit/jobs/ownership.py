"""Who owns a work tree and its attempts: the first submission that hands a job over there, and nobody after it.

Two clones can share a work root, and each have a branch that says it may submit. The file system decides: an owner's folder holds a file
with the name of a token, and is put in its place whole, where there is none yet.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.jobs import Attempt

_TREE = "tree"


def owner_of(work: Path) -> str:
    """Token of the first attempt of the submission that owns a work tree; empty where none does yet."""
    return _holder(_owners(work) / _TREE)


def own(work: Path, first: str, attempts: Sequence[Attempt], name: str) -> None:
    """Own a work tree, and these attempts in it, before they are handed over. What is owned already stays so.

    Args:
        first: token of the first attempt in the ledger, by which every later one of this branch is known as the same owner's.
        name: of the experiment, for the error.

    Raises:
        CkgitError: BRANCH_MOVED, another submission was first; COMMAND_FAILED, the work tree cannot be written.
    """
    wanted = [(_TREE, first), *((f"{attempt.job.replace('/', '.')}.{attempt.number}", attempt.token) for attempt in attempts)]
    try:
        held = {place: _hold(_owners(work) / place, token) for place, token in wanted}
    except OSError as error:
        raise CkgitError(
            f"the work tree cannot be written: {error}",
            code=Exit.COMMAND_FAILED,
            where=str(work),
            state="the attempts are recorded; none of them was handed over",
            next=f"make room or mend the permissions, then: ckgit advance {name}",
        ) from error
    others = [held[place] for place, token in wanted if held[place] != token]
    if others:
        raise CkgitError(
            f"another submission of {name} was first in this work tree, with job {others[0]}: somebody else runs the same experiment",
            code=Exit.BRANCH_MOVED,
            where=str(work),
            state="the attempts of this branch are recorded; none of them was handed over",
            next=f"ckgit cancel {name} takes them back; then fetch the branch of whoever submitted that job, or begin anew: "
            f"ckgit revise {name}",
        )


def _owners(work: Path) -> Path:
    return work / ".ckgit" / "owners"


def _holder(place: Path) -> str:
    """The token by which a place is held; empty where it is free."""
    try:
        return next((entry.name for entry in place.iterdir()), "")
    except FileNotFoundError:
        return ""


def _hold(place: Path, token: str) -> str:
    """Hold a place, whole or not at all; the token by which it is held then, which is another's where that was first."""
    if held := _holder(place):
        return held
    place.parent.mkdir(exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".", dir=place.parent))
    try:
        (part / token).touch()
        part.chmod(0o755)
        part.rename(place)
    except OSError:
        if not (held := _holder(place)):  # what is held is not empty, and no folder can be put in its place
            raise
        return held
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return token
