"""Whether the state in a summary is one that ckgit's own steps led to; where it is not, what mends the branch."""

from __future__ import annotations

from pathlib import Path

from ckgit.errors import CkgitError, DesignError, Exit
from ckgit.experiment.lifecycle import Event, legal, step_problem
from ckgit.experiment.state import State
from ckgit.lab.git.command import git_ok, git_text
from ckgit.lab.git.objects import read_objects
from ckgit.lab.git.trailers import Trailers, newer_version
from ckgit.lab.summary.state import state_in


def check_state(root: Path, name: str, tip: str, state: State, recorded: Trailers | None, at: str, left: str) -> None:
    """The state in the summary must be the one that ckgit's last commit led to, by a legal step.

    Args:
        recorded: what ckgit's last commit on the branch recorded, if there is one.
        at: that commit; empty where there is none.
        left: the commit at which ckgit left the branch here. It checked that one's step when it made or fetched it, and need not
            ask the lifecycle again, which would cost each `status` the import of a library.

    Raises:
        CkgitError: ILLEGAL_TRANSITION, with the command that mends it.
    """
    if recorded is None:
        if state is not State.DESIGNED and git_text(root, "rev-parse", "--is-shallow-repository") == "true":
            raise CkgitError(
                f"this clone is shallow, and does not hold the step that led {name} to {state}",
                code=Exit.EVIDENCE_MISSING,
                where=f"exp/{name}",
                state="nothing was done",
                next="git fetch --unshallow",
            )
        if state is not State.DESIGNED:
            what = f"the summary says {state}, but no commit of ckgit's led there"
            raise _illegal(name, None, what, _state_back(root, name, tip, State.DESIGNED, ""))
        return
    if recorded.target != state:
        reached = State(recorded.target) if recorded.target in set(State) else None
        what = f"the summary says {state}, but the last step that ckgit recorded led to {recorded.target}"
        raise _illegal(name, reached, what, _state_back(root, name, tip, reached, at))
    if at != left and (newer := newer_version(name, recorded.version)) and step_problem(recorded.event, recorded.source, recorded.target):
        raise newer
    if at != left and (wrong := step_problem(recorded.event, recorded.source, recorded.target)):
        mend = f"git switch exp/{name} && git reset --keep {at[:12]}~1"  # a commit that reverts it would leave it the last step
        raise _illegal(name, None, f"the last commit that ckgit is named in cannot be one of its own: {wrong}", mend)


def refuse_forged(name: str, recorded: Trailers | None, at: str, place: str) -> None:
    """The last step that a remote's branch records must be a legal one, before the local branch follows.

    Raises:
        CkgitError: ILLEGAL_TRANSITION.
    """
    if recorded and (newer := newer_version(name, recorded.version)):
        raise newer
    if recorded and (wrong := step_problem(recorded.event, recorded.source, recorded.target)):
        raise CkgitError(
            f"the last commit at {place} that ckgit is named in cannot be one of its own: {wrong}",
            code=Exit.ILLEGAL_TRANSITION,
            where=place,
            state="the local branch is as it was",
            next=f"git show {at[:12]} tells whose it is, who has to take it back",
        )


def _state_back(root: Path, name: str, tip: str, state: State | None, at: str) -> str:
    """The command that has the summary say a state again: the revert of the tip, where that has changed it."""
    path = f"experiments/{name}/experiment_summary.md"
    before, left = read_objects(root, [f"{tip}~1:{path}", f"{at or tip}:{path}"])
    merge = git_ok(root, "rev-parse", "--quiet", "--verify", f"{tip}^2")
    if _says(before, path, state) and not merge:
        return f"git switch exp/{name} && git revert --no-edit {tip[:12]}"
    if _says(left, path, state):
        return f"git switch exp/{name} && git checkout {at[:12]} -- {path} && git commit -m 'The state as ckgit left it'"
    return f"git log -p exp/{name} -- {path} shows the commit to revert"


def _says(summary: bytes | None, path: str, state: State | None) -> bool:
    try:
        return summary is not None and state_in(summary, path) is state
    except DesignError:
        return False


def _illegal(name: str, reached: State | None, what: str, mend: str) -> CkgitError:
    steps = ", ".join(dict.fromkeys(str(event) for event in (legal(reached) or (Event.DESIGN,))))
    return CkgitError(
        what,
        code=Exit.ILLEGAL_TRANSITION,
        where=f"exp/{name}",
        state=f"nothing was done; legal steps from {reached or 'nothing'}: {steps}, once the branch is as that left it",
        next=mend,
    )
