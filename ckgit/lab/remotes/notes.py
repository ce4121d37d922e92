"""Notes that all clones share, by way of the lab's authority: what either side has, both have afterwards."""

from __future__ import annotations

import shlex

from ckgit.errors import CkgitError, Exit
from ckgit.lab.git.command import is_ancestor
from ckgit.lab.git.notes import bring_together, notes_tip
from ckgit.lab.lab import Lab
from ckgit.lab.remotes.query import fetch_refs, push_refs, remote_tips

_TRIES = 5  # others may push to the same notes at the same time
_SUBJECT = "what two clones have noted"


def fetch_notes(lab: Lab, ref: str) -> None:
    """Bring the authority's notes here, beside those that are here; without an authority nothing happens.

    Raises:
        NotReachedError: it does not answer.
    """
    remote = lab.config.authority
    theirs = remote_tips(lab, remote, ref).get(ref) if remote else None
    if not theirs:
        return
    ours = notes_tip(lab.root, ref)
    if theirs == ours:
        return
    fetch_refs(lab, remote, {ref: f"refs/ckgit/fetched/{ref.removeprefix('refs/')}"})
    if not ours or not is_ancestor(lab.root, theirs, ours):
        bring_together(lab.root, ref, theirs, subject=_SUBJECT)


def push_notes(lab: Lab, ref: str) -> None:
    """Push the notes to the authority, never by force; without one nothing happens.

    Raises:
        CkgitError: UNKNOWN, it does not answer, or others push all the time; COMMAND_FAILED, it refuses. What is here stays.
    """
    remote = lab.config.authority
    if not remote:
        return
    state, onward = "it is noted in this clone", f"git push {shlex.quote(remote)} {ref}:{ref} hands it on"
    words = ""
    for _ in range(_TRIES):
        try:
            fetch_notes(lab, ref)
        except CkgitError as error:
            raise CkgitError(error.what, code=error.code, where=ref, state=state, next=onward) from error
        ours = notes_tip(lab.root, ref)
        answer = push_refs(lab, remote, {ref: ours})
        if answer.accepted:
            return
        words = answer.words
        if not answer.retryable and not _moved_on(lab, remote, ref, ours):
            raise CkgitError(f"{remote} refused the notes: {words}", code=Exit.COMMAND_FAILED, where=ref, state=state, next=onward)
    raise CkgitError(f"{remote} did not take the notes: {words}", code=Exit.UNKNOWN, where=ref, state=state, next=onward)


def _moved_on(lab: Lab, remote: str, ref: str, ours: str) -> bool:
    """Whether the remote holds notes that were not here when ours were pushed."""
    theirs = remote_tips(lab, remote, ref).get(ref)
    if not theirs:
        return False
    fetch_refs(lab, remote, {ref: f"refs/ckgit/fetched/{ref.removeprefix('refs/')}"})
    return not is_ancestor(lab.root, theirs, ours)
