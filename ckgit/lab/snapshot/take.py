"""Which commit of an experiment is looked at: its branch's tip, what keeps it where that is gone, or any other."""

from __future__ import annotations

import datetime
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ckgit.errors import CkgitError, DesignError, Exit
from ckgit.experiment.design.names import name_problem
from ckgit.experiment.state import Kept, State
from ckgit.formats.times import of_git
from ckgit.lab.branches import all_tips, last_merged, last_recorded, remote_ref, stands_for_branch
from ckgit.lab.git.checkout import resume
from ckgit.lab.git.command import git_text
from ckgit.lab.git.objects import read_object, read_objects
from ckgit.lab.git.tips import CLOSED, TIPS, is_lost, left_at
from ckgit.lab.git.trailers import Trailers
from ckgit.lab.lab import BRANCHES, Lab
from ckgit.lab.snapshot.snapshot import Snapshot, needed_summary
from ckgit.lab.summary.check import check_state
from ckgit.lab.summary.state import state_in


def take_snapshot(lab: Lab, name: str, at: str = "", *, kept: bool = False) -> Snapshot:
    """An experiment at its branch's tip; in a clone that only has a remote's branch, at that one's. Reading makes no branch.

    One that is closed is taken from what keeps it, where its branch is gone: it can be reopened.

    Args:
        at: tip of a remote's branch, as it was last fetched, or of what is closed, to which the local one is taken to have been moved.
        kept: whether one without a branch is also taken from the default branch, or from what somebody kept by hand: nothing goes on there.

    Raises:
        DeletedError: its branch is gone.
        CkgitError: USAGE, there is no such experiment; ILLEGAL_TRANSITION, its state was set by hand to one that no
            commit of ckgit led to.
    """
    if problem := name_problem(name):
        raise CkgitError(f"{name!r} is not a name of an experiment: {problem}", code=Exit.USAGE)
    resume(lab.branch(name))
    tips = all_tips(lab, name)
    gone, closed = tips.pop(f"{TIPS}{name}", None), tips.pop(f"{CLOSED}{name}", None)
    left = gone.commit if gone else ""
    own, keeps = f"{BRANCHES}{name}" in tips, closed is not None and stands_for_branch(lab, name, closed, tips, every=kept)
    if kept and not tips and not keeps and (merged := _merged(lab, name, left)):
        return merged
    ref = f"{BRANCHES}{name}" if own else "" if keeps else remote_ref(lab, name, list(tips), left or (closed.commit if closed else ""))
    place = tips[ref] if ref or closed is None else closed
    tip, last, time = next((each for each in (*tips.values(), closed) if each and each.commit == at), place)
    paths = [f"experiments/{name}/{file}" for file in ("experiment_summary.md", "jobs.json", "defaults.json", "kept.json")]
    known = dict(zip(paths, read_objects(lab.root, [f"{tip}:{path}" for path in paths]), strict=True))
    state = _state(needed_summary(known[paths[0]], name, tip), f"exp/{name}:{paths[0]}")
    at, recorded = (tip, last) if last else last_recorded(lab.root, name, tip)
    check_state(lab.root, name, tip, state, recorded, at, left)
    event, design, version = (recorded.event, recorded.design, recorded.version) if recorded else (None, None, "")
    found = Snapshot(lab.root, name, tip, state, event, design, time, at, version, last is None, left=left, known=known)
    found = replace(found, closed=closed.commit if closed else "", local=own, kept=None if ref else Kept.CLOSED)
    if not own:
        return found
    return replace(found, remotes={ref.split("/")[2]: theirs.commit for ref, theirs in tips.items() if not ref.startswith(BRANCHES)})


def _merged(lab: Lab, name: str, left: str) -> Snapshot | None:
    """An experiment that the default branch holds, at its last step there; None where it holds none, or not the one whose branch is gone.

    Args:
        left: commit at which ckgit left that branch; empty where it never made one here.
    """
    content = read_object(lab.root, f"{lab.base}:experiments/{name}/experiment_summary.md")
    if content is None:
        return None
    step, recorded = last_merged(lab, name)
    if recorded and is_lost(lab.root, left, lab.base) and is_lost(lab.root, step, left):
        return None
    if recorded and recorded.target in set(State):
        return replace(snapshot_at(lab, name, step, recorded, step), local=False, kept=Kept.MERGED)
    state = _state(content, f"{lab.default_branch}:experiments/{name}/experiment_summary.md")  # it was squashed, or made by hand
    found = Snapshot(lab.root, name, lab.base, state, None, None, _time(lab.root, lab.base), local=False, kept=Kept.MERGED)
    with suppress(DesignError):  # which whoever needs the design meets again
        found = replace(found, design_digest=found.summary.summary.digest)
    return found


def _time(root: Path, commit: str) -> datetime.datetime:
    return of_git(git_text(root, "log", "-1", "--no-show-signature", "--format=%ct", commit, "--"))


def snapshot_at(lab: Lab, name: str, commit: str, recorded: Trailers, at: str) -> Snapshot:
    """An experiment at any commit of its branch, as somebody looks at it who trusts nothing: its state is not held against its summary.

    Args:
        recorded: the last step up to there, and `at` its commit.

    Raises:
        CkgitError: EVIDENCE_MISSING, it has no summary.
    """
    state = State(recorded.target)
    time = _time(lab.root, commit)
    paths = [f"experiments/{name}/{file}" for file in ("experiment_summary.md", "jobs.json", "defaults.json", "kept.json")]
    known = dict(zip(paths, read_objects(lab.root, [f"{commit}:{path}" for path in paths]), strict=True))
    needed_summary(known[paths[0]], name, commit)
    version = recorded.version
    return Snapshot(lab.root, name, commit, state, recorded.event, recorded.design, time, at, version, commit != at, known=known)


def as_committed(root: Path, name: str, commit: str) -> Snapshot:
    """An experiment as some commit has it, whatever its branch is at and whatever its summary says."""
    at, recorded = last_recorded(root, name, commit)
    state = State(recorded.target) if recorded and recorded.target in set(State) else State.DESIGNED
    event, design = (recorded.event, recorded.design) if recorded else (None, None)
    never = datetime.datetime.fromtimestamp(0, tz=datetime.UTC)
    return Snapshot(root, name, commit, state, event, design, never, at, left=left_at(root, name))


def _state(summary: bytes, file: str) -> State:
    try:
        return state_in(summary, file)
    except DesignError as error:
        branch = file.partition(":")[0]
        mend = f"git log -p {branch} shows which commit broke the lines above; revert that one"
        raise DesignError(error.problems, file=file, state="nothing was done", next=mend) from None
