"""Who owns a work tree and its attempts: the first submission that hands a job over there, and nobody after it.

Two clones can share a work root, and each have a branch that says it may submit. The file system decides: a claim is a file that only
one process can make, and it holds the token of the attempt that it is for.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from ckgit.experiment.errors import CkgitError, Exit
from ckgit.experiment.jobs import Attempt

_TREE = "tree"


def claimed_by(work: Path) -> str:
    """Token of the first attempt of the submission that owns a work tree; empty where none does yet."""
    try:
        return (_folder(work) / _TREE).read_text()
    except FileNotFoundError:
        return ""


def claim(work: Path, first: str, attempts: Sequence[Attempt], name: str) -> None:
    """Own a work tree, and these attempts in it, before they are handed over. What is owned already stays so.

    Args:
        first: token of the first attempt in the ledger; every later one is of the same submission's line.
        name: of the experiment, for the error.

    Raises:
        CkgitError: BRANCH_MOVED, another submission was first; COMMAND_FAILED, the work tree cannot be written.
    """
    wanted = [(_TREE, first), *((f"{attempt.job.replace('/', '.')}.{attempt.number}", attempt.token) for attempt in attempts)]
    try:
        held = {file: _hold(_folder(work) / file, token) for file, token in wanted}
    except OSError as error:
        raise CkgitError(
            f"the work tree cannot be claimed: {error.strerror}",
            code=Exit.COMMAND_FAILED,
            where=str(work),
            state="nothing was handed over",
            next=f"mend this, then: ckgit advance {name}",
        ) from error
    others = [held[file] for file, token in wanted if held[file] != token]
    if others:
        raise CkgitError(
            f"another submission of {name} was first in this work tree, with job {others[0]}: somebody else runs the same experiment",
            code=Exit.BRANCH_MOVED,
            where=str(work),
            state="the attempts of this branch are recorded; none of them was handed over",
            next=f"ckgit cancel {name} takes them back; then fetch the branch of whoever submitted that job, or begin anew: "
            f"ckgit revise {name}",
        )


def _folder(work: Path) -> Path:
    return work / ".ckgit" / "claims"


def _hold(file: Path, token: str) -> str:
    """Make a claim, whole or not at all; the token that it holds, which is another's where that was first."""
    with contextlib.suppress(FileNotFoundError):
        return file.read_text()
    file.parent.mkdir(exist_ok=True)
    part = file.with_name(f".{secrets.token_hex(8)}")
    part.write_text(token)
    try:
        os.link(part, file)
    except FileExistsError:
        return file.read_text()
    finally:
        part.unlink()
    return token
