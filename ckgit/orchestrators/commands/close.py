"""close: an experiment is rejected with a reason, and nothing but reopening it follows.

The step writes no file: its reason is its message, which no later commit can change. As long as the experiment is closed
`refs/ckgit/closed/NAME` keeps its commits, so that its branch may be deleted.
"""

from __future__ import annotations

from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import Event, is_closed, legal
from ckgit.experiment.outputs.planned import PlannedStep
from ckgit.lab.commit import CommitPlan, preview
from ckgit.lab.git.tips import CLOSED
from ckgit.lab.lab import Lab
from ckgit.lab.remotes import authority
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import commit_and_tell, snapshot_as_for_update, snapshot_for_update
from ckgit.orchestrators.engine.results import AdvanceResult
from ckgit.orchestrators.queries.in_flight import refuse_in_flight


class Wanted(NamedTuple):
    """What is asked for."""

    because: str  # in one paragraph; may be empty where it is reopened
    reopen: bool = False

    @property
    def event(self) -> Event:
        """The step that does it."""
        return Event.REOPEN if self.reopen else Event.CLOSE


def close(lab: Lab, name: str, wanted: Wanted, events: Events) -> AdvanceResult:
    """Close an experiment, or reopen it. Killed before all of it was pushed, the same command does the rest.

    Raises:
        CkgitError: ILLEGAL_TRANSITION, it is so already; IN_FLIGHT, jobs of it may run; as `make_commit`.
    """
    snapshot = snapshot_for_update(lab, name, events)
    if wanted.event not in legal(snapshot.standing) and authority.push_rest(lab, name, snapshot.tip, closed=not wanted.reopen):
        return _result(snapshot, wanted)
    recorded = commit_and_tell(lab, plan_closing(lab, snapshot, wanted), events)
    return _result(snapshot, wanted)._replace(commits=[recorded])


def show(lab: Lab, name: str, wanted: Wanted) -> PlannedStep:
    """What `close` would do.

    Raises:
        CkgitError: as `close`, but for what the authority says.
    """
    snapshot, told = snapshot_as_for_update(lab, name)
    step = preview(plan_closing(lab, snapshot, wanted))
    ref = f"would {'take away' if wanted.reopen else 'keep it as'} {CLOSED}{name}"
    return PlannedStep(experiment=name, lifecycle_state=snapshot.state, commits=(step,), remarks=(*told, ref))


def plan_closing(lab: Lab, snapshot: Snapshot, wanted: Wanted) -> CommitPlan:
    """The commit that closes an experiment, or reopens it.

    Raises:
        CkgitError: ILLEGAL_TRANSITION, it is so already; USAGE, no reason is given; IN_FLIGHT, jobs of it may run.
    """
    name, standing = snapshot.name, snapshot.standing
    if wanted.event not in legal(standing):
        what, onward = f"{name} is not closed", f"ckgit status {name}"
        if is_closed(standing):
            what, onward = f"{name} is closed already", f"ckgit show {name} says why; ckgit close {name} --reopen opens it again"
        raise CkgitError(what, code=Exit.ILLEGAL_TRANSITION, where=name, state="nothing was changed", next=onward)
    if not wanted.reopen and not wanted.because:
        onward = f"ckgit close {name} --because 'the claim does not hold'"
        raise CkgitError(f"why is {name} closed? No reason is given", code=Exit.USAGE, where=name, state="nothing was changed", next=onward)
    if not wanted.reopen:
        refuse_in_flight(lab, snapshot)
    return CommitPlan(name, wanted.event, snapshot.branch_tip, {}, _digest(snapshot), wanted.because)


def _digest(snapshot: Snapshot) -> str:
    """Hash of the design that is closed. One that cannot be read any more is named as the last step did."""
    try:
        return snapshot.summary.summary.digest
    except CkgitError:
        if snapshot.design_digest is None:
            raise
        return snapshot.design_digest


def _result(snapshot: Snapshot, wanted: Wanted) -> AdvanceResult:
    name, state = snapshot.name, snapshot.state
    if wanted.reopen:
        return AdvanceResult(name, state, Exit.DONE, [], f"{name} is open again, and {state}", f"ckgit status {name}")
    kept = f"{name} is closed; it was {state}, and {CLOSED}{name} keeps it when its branch is deleted"
    return AdvanceResult(name, state, Exit.DONE, [], kept, f"ckgit close {name} --reopen opens it again")
