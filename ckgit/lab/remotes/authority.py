"""The remote that decides who owns an experiment, where ckgit.toml names one."""

from __future__ import annotations

import shlex
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import is_closed
from ckgit.lab.branches import last_recorded
from ckgit.lab.git import tips
from ckgit.lab.git.anchors import ANCHORS
from ckgit.lab.git.branch import move
from ckgit.lab.git.command import git, git_lines, git_ok, is_ancestor
from ckgit.lab.git.tips import CLOSED, KnownTips
from ckgit.lab.lab import BRANCHES, Lab
from ckgit.lab.remotes.last_fetched import behind, diverged, forward
from ckgit.lab.remotes.query import NotReachedError, PushResult, fetch_refs, push_refs, remote_tips


class RefusedError(CkgitError):
    """The remote does not take the commit, by a rule of its own; nobody else was faster."""


class AuthorityTips(NamedTuple):
    """Where the authority has an experiment, with its objects here; empty where it has not."""

    branch: str = ""
    closed: str = ""  # what it keeps of one that is closed

    @property
    def newest(self) -> str:
        """Its branch; where that is gone, what is kept of it."""
        return self.branch or self.closed


NOWHERE = AuthorityTips()


def fetch(lab: Lab, name: str) -> str:
    """Bring a local branch up to the authority's, if it can be by moving forward; without an authority nothing happens.

    Of one that is closed, and whose branch is gone there and here, what is kept is fetched, too.

    Returns what is to be told of commits that the branch had lost and that are kept now; mostly nothing.

    Raises:
        NotReachedError: the remote does not answer, or cannot be read.
        CkgitError: BRANCH_MOVED, both have commits that the other lacks; ILLEGAL_TRANSITION, theirs records a step that is not legal.
    """
    remote = lab.config.authority
    if not remote:
        return ""
    there, ours = fetched_tips(lab, remote, name), lab.branch(name).tip()
    theirs = there.newest
    if not theirs or theirs == ours or (ours and is_ancestor(lab.root, theirs, ours)):
        return ""
    if not ours and not there.branch:
        if not tips.closed_at(lab.root, name):
            git(lab.root, "update-ref", "-m", f"ckgit: fetched from {remote}", f"{CLOSED}{name}", theirs, "")
        return ""
    if ours and not is_ancestor(lab.root, ours, theirs):
        raise diverged(lab.branch(name), remote, ours, theirs)
    return forward(lab, name, f"{remote}/exp/{name}", ours, theirs)


def refuse_behind(lab: Lab, name: str, parent: str | None, new: str) -> AuthorityTips:
    """Check that the authority holds nothing that `parent` lacks, apart from `new` itself, which another clone may have made, too.

    Args:
        parent: the commit that an event starts from; None for a new experiment.
        new: the event's own commit.

    Returns:
        Where the authority has the experiment.

    Raises:
        CkgitError: as `fetch`; BRANCH_MOVED, too, where the authority is merely ahead.
    """
    remote = lab.config.authority
    there = fetched_tips(lab, remote, name) if remote else NOWHERE
    theirs = there.newest
    if not theirs or theirs == new or (parent and is_ancestor(lab.root, theirs, parent)):
        return there
    if not parent and not there.branch:
        raise CkgitError(
            f"{name} is an experiment that was closed: {remote} keeps it",
            code=Exit.USAGE,
            state="nothing was committed",
            next=f"git fetch {shlex.quote(remote)} {CLOSED}{name}:{CLOSED}{name} && ckgit show {name} shows it; choose another name",
        )
    if parent and is_ancestor(lab.root, parent, theirs):
        raise behind(lab.branch(name), remote, parent, theirs)
    raise diverged(lab.branch(name), remote, parent or "", theirs)


def push(lab: Lab, name: str, commit: str, *, closed: bool = False, there: AuthorityTips = NOWHERE) -> None:
    """Push a commit to the authority, never by force; without an authority nothing happens.

    What keeps a closed experiment goes with its branch, and is taken away with the first commit by which it is open again.
    What the remote holds afterwards decides: it has the commit, or somebody else's, or refuses ours.

    Args:
        closed: whether the experiment is closed with it.
        there: where the authority has the experiment.

    Raises:
        RefusedError: COMMAND_FAILED, it does not take the commit, with its own words.
        NotReachedError: it does not answer, and may have the commit or not; or it cannot be read.
        CkgitError: BRANCH_MOVED, somebody else was faster. Where theirs goes on from what the commit was made on, the local branch
            follows, and the commit, after which nothing was done, is kept beside it. In each other case the local commit stands.
    """
    remote = lab.config.authority
    if not remote:
        return
    answer = push_refs(lab, remote, _updates(lab, name, commit, closed=closed, kept=there.closed))
    if not answer.accepted:
        _settle(lab, name, commit, answer, closed=closed)


def _updates(lab: Lab, name: str, commit: str, *, closed: bool, kept: str) -> dict[str, str]:
    """Refs that are pushed with a commit, each with what it is to be; empty to take it away.

    Args:
        kept: what the authority keeps of the experiment as the closed one; empty where it keeps none.
    """
    updates = {f"{BRANCHES}{name}": commit}
    if closed:
        updates[f"{CLOSED}{name}"] = commit
    elif kept and is_ancestor(lab.root, kept, commit):
        updates[f"{CLOSED}{name}"] = ""
    return updates


def _settle(lab: Lab, name: str, commit: str, answer: PushResult, *, closed: bool) -> None:
    """Find out what became of a push that was not accepted; raises as `push` where the authority does not have the commit."""
    remote = lab.config.authority
    stands = f"commit {commit[:12]} stands on the local branch, and not at {remote}"
    again = f"ckgit status {name}, then go on: the next step pushes it first; or git push {shlex.quote(remote)} exp/{name}"
    again = f"ckgit close {name} pushes it" if closed else again
    try:
        theirs = fetched_tips(lab, remote, name).branch
    except NotReachedError as error:
        what = f"whether {remote} has commit {commit[:12]} is not known: {answer.words or error.what}"
        onward = f"{error.next}; then {again}" if error.code is Exit.COMMAND_FAILED else again
        raise NotReachedError(what, code=error.code, where=f"exp/{name}", state=stands.partition(",")[0], next=onward) from error
    if theirs and is_ancestor(lab.root, commit, theirs):
        return  # another clone made the same commit, or git lost the remote's answer
    if theirs and not is_ancestor(lab.root, theirs, commit):
        raise _lost_race(lab, name, remote, commit, theirs) or diverged(lab.branch(name), remote, commit, theirs, state=stands)
    if answer.retryable:
        what = f"{remote} was busy and did not take commit {commit[:12]}: {answer.words}"
        raise NotReachedError(what, code=Exit.UNKNOWN, where=f"exp/{name}", state=stands, next=again)
    raise RefusedError(
        f"{remote} refused commit {commit[:12]}: {answer.words}",
        code=Exit.COMMAND_FAILED,
        where=f"exp/{name}",
        state=f"{stands}; what waits for the push did not happen",
        next=f"settle that with those who run {remote}; then {again}",
    )


def push_rest(lab: Lab, name: str, tip: str, *, closed: bool) -> bool:
    """Push what the authority lacks of an experiment that was closed, or reopened, before; returns whether there was anything.

    Raises:
        CkgitError: as `push`.
    """
    there = fetched_tips(lab, lab.config.authority, name) if lab.config.authority else NOWHERE
    if there == NOWHERE or (there.closed == tip if closed else there.branch == tip and not there.closed):
        return False
    push(lab, name, tip, closed=closed, there=there)
    return True


def _lost_race(lab: Lab, name: str, remote: str, ours: str, theirs: str) -> CkgitError | None:
    """Have the local branch follow the one who was faster: what comes after a commit waits for the push, so ours did nothing.

    None where that cannot be: theirs begins elsewhere, or a user's work is in the way.
    """
    if not is_ancestor(lab.root, f"{ours}^", theirs) or is_ancestor(lab.root, f"{ours}^", lab.base):
        return None
    _, recorded = last_recorded(lab.root, name, theirs)
    left = KnownTips(ours, theirs, tips.closed_at(lab.root, name))
    also = tips.updates(lab.root, name, left, theirs, closed=bool(recorded and is_closed(recorded.standing)))
    try:
        move(lab.branch(name), ours, theirs, subject=f"fetched from {remote}: somebody else was faster", also=also)
    except CkgitError:
        return None
    return CkgitError(
        f"somebody else was faster: {remote} is at {theirs[:12]}",
        code=Exit.BRANCH_MOVED,
        where=f"exp/{name}",
        state=f"nothing of yours was done; the local branch follows, and your commit is kept as {tips.rescue_ref(name, ours)}",
        next=f"ckgit status {name} shows what they did; ckgit advance {name} goes on from there",
    )


def fetched_tips(lab: Lab, remote: str, name: str) -> AuthorityTips:
    """Where a remote has an experiment, with its objects here. What the remote attests of it comes along.

    An anchor that is here already stays as it is, whatever the remote has by then.
    """
    to = {f"{BRANCHES}{name}": f"refs/remotes/{remote}/exp/{name}", f"{CLOSED}{name}": ""}
    place = f"{ANCHORS}{name}/"
    found = remote_tips(lab, remote, *to, f"{place}*")
    anchors = [ref for ref in found if ref.startswith(place)]
    here = git_lines(lab.root, "for-each-ref", "--format=%(refname)", place) if anchors else []
    lacking = [ref for ref in to if ref in found and not git_ok(lab.root, "rev-parse", "--quiet", "--verify", f"{found[ref]}^{{commit}}")]
    wanted = {**{ref: to[ref] for ref in lacking}, **{ref: ref for ref in anchors if ref not in here}}
    if wanted:
        fetch_refs(lab, remote, wanted)
    return AuthorityTips(*(found.get(ref, "") for ref in to))
