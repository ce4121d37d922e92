"""delete: an experiment's branch is taken away here, and at the authority where that is asked for; a ref keeps it, so it can be undone."""

from __future__ import annotations

from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.lab.git.tips import beside_ref, deleted, deleted_ref
from ckgit.lab.git.worktrees import checkouts
from ckgit.lab.history import deletions
from ckgit.lab.lab import BRANCHES, Lab
from ckgit.lab.remotes.authority import fetched_tips
from ckgit.lab.remotes.query import push_refs
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.queries.in_flight import refuse_in_flight
from ckgit.orchestrators.upkeep.disk import look_at


class DeletedBranch(NamedTuple):
    """What became of a branch."""

    name: str
    commit: str
    undone: bool
    kept_as: str  # the ref that keeps it, or kept it until now
    authority: str  # the remote whose branch was deleted, too; empty where that was not asked for
    bytes: int  # on disk, where they stay


def delete(lab: Lab, name: str, *, at_authority: bool, dry_run: bool = False) -> DeletedBranch:
    """Delete an experiment's branch. Killed in between, the same command does the rest.

    Raises:
        CkgitError: USAGE, it has no branch here, or there is no authority; IN_FLIGHT, jobs of it may run; BRANCH_MOVED, it is checked out,
            or the authority has other commits; COMMAND_FAILED, the authority refuses; as `take_snapshot`.
    """
    snapshot = take_snapshot(lab, name)
    _refuse_unfit(lab, snapshot, at_authority=at_authority)
    refuse_in_flight(lab, snapshot)
    remote = lab.config.authority if at_authority else ""
    held = look_at(lab, name, None).bytes
    found = DeletedBranch(name, snapshot.tip, undone=False, kept_as=deleted_ref(name, snapshot.tip), authority=remote, bytes=held)
    if not dry_run:
        deletions.keep(lab.root, name, snapshot.tip)
        if remote:
            _delete_there(lab, name, snapshot.tip, remote)
        deletions.delete_branch(lab.root, f"{BRANCHES}{name}", snapshot.tip)
    return found


def _refuse_unfit(lab: Lab, snapshot: Snapshot, *, at_authority: bool) -> None:
    name, state = snapshot.name, "nothing was deleted"
    if not snapshot.local:
        what, onward = f"{name} has no branch here", f"ckgit show {name} says what has it"
        raise CkgitError(what, code=Exit.USAGE, where=name, state=state, next=onward)
    if at_authority and not lab.config.authority:
        what = "ckgit.toml names no authority"
        raise CkgitError(what, code=Exit.USAGE, where=name, state=state, next=f"ckgit delete {name} deletes the branch here")
    if places := checkouts(lab.branch(name)):
        raise CkgitError(
            f"exp/{name} is checked out in {places[0]}",
            code=Exit.BRANCH_MOVED,
            where=name,
            state=state,
            next=f"git switch {lab.default_branch} there, or another branch; then ckgit delete {name}",
        )


def _delete_there(lab: Lab, name: str, commit: str, remote: str) -> None:
    """Delete the authority's branch, which keeps its commits beside what was closed: its hooks let no record of jobs go."""
    there = fetched_tips(lab, remote, name).branch
    if not there:
        return
    kept, state = beside_ref(name, commit), "nothing was deleted"
    if there != commit:
        what = f"{remote} has exp/{name} at {there[:12]}, and it is at {commit[:12]} here"
        raise CkgitError(what, code=Exit.BRANCH_MOVED, where=name, state=state, next=f"ckgit status {name}")
    pushed = push_refs(lab, remote, {kept: commit, f"{BRANCHES}{name}": ""})
    if not pushed.accepted:
        code = Exit.UNKNOWN if pushed.retryable else Exit.COMMAND_FAILED
        onward = f"ckgit delete {name} deletes the branch here alone"
        raise CkgitError(f"{remote} does not delete exp/{name}: {pushed.words}", code=code, where=name, state=state, next=onward)


def undo(lab: Lab, name: str, *, dry_run: bool = False) -> DeletedBranch:
    """Bring back the branch that was deleted last.

    Raises:
        CkgitError: USAGE, none was deleted, or there is one.
    """
    kept, branch, state = deleted(lab.root, name), lab.branch(name), "nothing was changed"
    if not kept:
        what = f"no branch of an experiment {name} was deleted by ckgit in this clone"
        raise CkgitError(what, code=Exit.USAGE, where=name, state=state, next="ckgit list shows what there is")
    if branch.tip():
        what = f"there is a branch exp/{name}"
        raise CkgitError(what, code=Exit.USAGE, where=name, state=state, next=f"ckgit log {name} shows what it has")
    commit = kept[-1]
    if not dry_run:
        deletions.bring_back(lab.root, name, branch.ref, commit)
    held = look_at(lab, name, None).bytes
    return DeletedBranch(name, commit, undone=True, kept_as=deleted_ref(name, commit), authority="", bytes=held)
