"""What of a push only a server decides, or a clone that was told to: anchors, signatures, and whether results follow."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import Event
from ckgit.lab.git.anchors import ANCHORS, ATTESTED, anchors, attest, lost
from ckgit.lab.git.command import is_ancestor, settings
from ckgit.lab.git.tips import beside_ref
from ckgit.lab.hooks.pushed import PushedCommit, RefUpdate, commits_between, is_kept, lab_of_push
from ckgit.lab.lab import Lab
from ckgit.orchestrators.review.hooks.files import found

if TYPE_CHECKING:
    from ckgit.experiment.outputs.findings import Finding

_RESULTS = (Event.TRAIN, Event.EVALUATE, Event.ANALYZE)  # steps that bring what jobs measured
_HOW = "ckgit.hooksVerify"
_EVERY = 20.0  # seconds


def attest_pushed(folder: Path, updates: Sequence[RefUpdate]) -> None:
    """Make the anchors of the branches that were pushed: of each step of theirs that is attested, and was not yet.

    Raises:
        CkgitError: COMMAND_FAILED, git's own failure.
    """
    named = [update for update in updates if update.name and update.new]
    if not named or (lab := lab_of_push(folder, updates)) is None:
        return
    for update in named:
        commits = commits_between(lab.root, update.name, update.new, lab.base)
        steps = [(commit.recorded.event, commit.oid) for commit in commits if commit.recorded and commit.recorded.event in ATTESTED]
        attest(lab.root, update.name, steps)


def anchors_moved(updates: Sequence[RefUpdate]) -> Iterator[Finding]:
    """Anchors are the server's own: what others may make, move or delete would attest nothing."""
    for update in updates:
        if f"{update.ref.lower()}/".startswith(ANCHORS):
            how = "deleted" if not update.new else "moved" if update.old else "made"
            yield found("anchor", f"{update.ref} is {how} by a push", commit=update.new or update.old, advice=f"leave out {ANCHORS}*")


def unattested(lab: Lab, update: RefUpdate, updates: Sequence[RefUpdate]) -> Iterator[Finding]:
    """Steps that this server has attested, and that a branch which is rewritten, or which begins anew, does not have."""
    if update.old and is_ancestor(lab.root, update.old, update.new):
        return
    known = anchors(lab.root, update.name)
    if not known:
        return
    from ckgit.orchestrators.review.proof.anchors import lost_findings

    gone = [each for each in lost(lab.root, known, update.new) if not is_kept(lab, each.commit, updates)]
    old = update.old or (gone[-1].commit if gone else "")
    kept = f"merge {lab.default_branch or 'the default branch'} instead of a rebase; or keep what was beside it: "
    keep = f"git push REMOTE {old[:12]}:{beside_ref(update.name, old)}" if gone else ""
    yield from (each.model_copy(update={"advice": kept + keep}) for each in lost_findings(gone))


def unsigned(lab: Lab, commits: Sequence[PushedCommit], tell: Callable[[str], None]) -> Iterator[Finding]:
    """Steps that the lab wants signed, and that are not."""
    if not lab.base or b"signatures" not in lab.toml:  # to read all of it takes time, which a hook does not have
        return
    from ckgit.orchestrators.review.proof.signatures import unsigned as wrong

    try:
        yield from wrong(lab, [commit.oid for commit in commits if commit.recorded])
    except CkgitError as error:
        if error.code is not Exit.TOOL_MISSING:
            raise
        tell(f"ckgit: {error.what}")


def is_full(lab: Lab, *, server: bool) -> bool:
    """Whether results that are pushed are verified: on a server, unless it is set otherwise, and in a clone where it is set."""
    found = settings(lab.root, _HOW.lower()).get(_HOW.lower(), "full" if server else "light")
    if found not in ("full", "light"):
        what = f"{_HOW} is {found!r}, and may be full or light"
        raise CkgitError(what, code=Exit.USAGE, where=str(lab.root), state="nothing was pushed", next=f"git config {_HOW} full")
    return found == "full"


def verified(lab: Lab, update: RefUpdate, commits: Sequence[PushedCommit], tell: Callable[[str], None]) -> Iterator[Finding]:
    """What verification finds where a push brings results; what it only notes is not told, apart from what is not installed here."""
    if not lab.base or not any(commit.recorded and commit.recorded.event in _RESULTS for commit in commits):
        return
    from ckgit.experiment.outputs.findings import Severity
    from ckgit.orchestrators.review.named import History
    from ckgit.orchestrators.review.verify.branch import verify_branch
    from ckgit.orchestrators.review.verify.verify import verify

    tell(f"ckgit: verifying {update.name}, since its results are new; this may take some seconds")
    with _telling(tell, f"ckgit: still verifying {update.name}"):
        try:
            found = verify(lab, History(update.name, update.new))
        except CkgitError as error:
            if error.code is not Exit.TOOL_MISSING:
                raise
            tell(f"ckgit: not all of {update.name} can be verified here: {error.what}")
            found = verify_branch(lab, update.name, update.new, lenient=True)
    yield from (each for each in found.findings if each.severity is not Severity.NOTE and each.rule not in ("anchor", "signature"))


@contextlib.contextmanager
def _telling(tell: Callable[[str], None], words: str) -> Iterator[None]:
    """Say again and again that it goes on: a clone gives up a remote that prints nothing for a minute."""
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(_EVERY):
            tell(words)

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
