"""cancel: jobs that are not wanted any more are recorded so, then ended.

It works on whatever runs. Where the branch cannot be read, its design has changed, a checkout is in the way or the authority is away,
the jobs are ended all the same: they are found by their tokens, and what could not be recorded is said.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.classify import JobCondition, classify
from ckgit.experiment.jobs import Attempt, Ledger
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.outputs.planned import PlannedStep
from ckgit.experiment.scheduler import JobState
from ckgit.formats.listing import in_words, plural
from ckgit.jobs.folder import is_there
from ckgit.lab.branches import DeletedError
from ckgit.lab.commit import CommitPlan, preview
from ckgit.orchestrators.commands.observe_cancel import CancelObservation, observe_cancel, workers_of
from ckgit.orchestrators.engine import orphans
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import RecordedCommit, commit_and_tell, prepare
from ckgit.orchestrators.engine.logs import appended, now
from ckgit.orchestrators.engine.options import Selection
from ckgit.orchestrators.engine.orphans import Orphan
from ckgit.orchestrators.engine.partial_view import PartialView
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.run.commits import cancellation

_ALIVE = (JobState.QUEUED, JobState.RUNNING, JobState.UNKNOWN)


class CancelPlan(NamedTuple):
    """What is to be cancelled. Without a step, it was recorded before, or cannot be, and is only to be signalled."""

    found: PartialView
    step: CommitPlan | None
    attempts: Sequence[Attempt]
    whole: bool = True  # nothing that goes on is left, and so nobody is to go on with it
    orphans: Sequence[Orphan] = ()
    lost: str = ""  # why the jobs are declared lost; empty where they are cancelled

    @property
    def named(self) -> list[str]:
        """Each job with its token."""
        known = [f"{attempt.job} ({attempt.token})" for attempt in self.attempts]
        return [*known, *(f"{orphan.token}, which is not in the ledger of the branch" for orphan in self.orphans)]


def plan_cancel(seen: CancelObservation) -> CancelPlan:
    """What cancel would commit and signal. Pure.

    Raises:
        CkgitError: no job is open, none that was cancelled still runs, and none runs beside the ledger; or one cannot be ended from here.
    """
    if seen.against:
        raise seen.against
    if seen.lost:
        return _plan_lost(seen)
    found, others, ledger = seen.found, seen.others, seen.found.ledger
    open_ones = [attempt for attempt in seen.chosen if classify(attempt).is_open]
    # what has ended by itself keeps its own ending, which the next advance collects
    wanted = [attempt for attempt in open_ones if seen.states.get(attempt.token) is not JobState.GONE or attempt.token in seen.mute]
    rest = [attempt for attempt in (ledger.open() if ledger else ()) if attempt not in open_ones]
    whole = seen.selection == Selection() or not rest
    if ledger and (wanted or (ledger.detached and whole)):
        return CancelPlan(found, _step(found, wanted, ledger, whole=whole), wanted, whole, others)
    cancelled = [attempt for attempt in seen.chosen if classify(attempt) is JobCondition.CANCELLED]
    lingering = [attempt for attempt in cancelled if seen.states.get(attempt.token) in _ALIVE]
    if lingering or others:
        return CancelPlan(found, None, lingering, orphans=others)
    raise _nothing(found)


def _plan_lost(seen: CancelObservation) -> CancelPlan:
    """What is recorded of jobs that nobody can ask any more.

    Raises:
        CkgitError: one of them can be asked, or there is none.
    """
    found, ledger, name = seen.found, seen.found.ledger, seen.found.name
    open_ones = [attempt for attempt in seen.chosen if classify(attempt).is_open]
    if alive := [attempt.job for attempt in open_ones if seen.states.get(attempt.token) in (JobState.QUEUED, JobState.RUNNING)]:
        raise CkgitError(
            f"not lost, but queued or running: {in_words(alive)}",
            code=Exit.ILLEGAL_TRANSITION,
            where=name,
            state="nothing was changed",
            next=f"ckgit cancel {name} ends them",
        )
    wanted = [attempt for attempt in open_ones if seen.states.get(attempt.token) is not JobState.GONE or attempt.token in seen.mute]
    if not ledger or not wanted:
        raise _nothing(found)
    whole = len(ledger.open()) == len(wanted)
    return CancelPlan(found, _step(found, wanted, ledger, whole=whole, lost=seen.lost), wanted, whole, lost=seen.lost)


def _nothing(found: PartialView) -> CkgitError:
    if found.orphans and found.unread:  # its own may be among them
        return orphans.with_its_jobs(found.lab, found.name, found.unread)
    if found.orphans:
        return CkgitError(
            f"no job of this branch is queued or running; others are: {orphans.listed(found.orphans)}",
            code=Exit.ILLEGAL_TRANSITION,
            where=found.name,
            state="nothing was changed",
            next=orphans.way_back(found.lab, found.name, found.orphans),
        )
    if found.problem:
        return found.problem  # why nothing can be seen comes before that nothing is there
    return CkgitError(
        "no job is queued or running",
        code=Exit.ILLEGAL_TRANSITION,
        where=found.name,
        state="nothing was changed",
        next=f"ckgit status {found.name}",
    )


def _step(found: PartialView, attempts: Sequence[Attempt], ledger: Ledger, *, whole: bool, lost: str = "") -> CommitPlan | None:
    """The commit; without the tables of the summary where the design cannot be read."""
    if not found.snapshot:
        return None
    time = now()
    made = cancellation(workers_of(found.view), attempts, ledger, time=time, whole=whole, lost=lost)
    if found.view:
        return prepare(found.view, Event.CANCEL, files={}, logs=made.logs, ledger=made.ledger, body=made.body, time=time)
    folder = found.snapshot.folder
    logs = {f"{folder}/{log}": lines for log, lines in made.logs.items()}
    files: dict[str, bytes | None] = {path: appended(found.snapshot.read(path), lines, time=time) for path, lines in logs.items()}
    files[f"{folder}/jobs.json"] = made.ledger.dump()
    return CommitPlan(found.name, Event.CANCEL, found.snapshot.branch_tip, files, found.snapshot.design_digest or "", made.body)


def show(planned: CancelPlan) -> PlannedStep:
    """What cancel would do."""
    found, step = planned.found, planned.step
    return PlannedStep(
        experiment=found.name,
        lifecycle_state=found.snapshot.state if found.snapshot else None,
        commits=(preview(step),) if step else (),
        remarks=tuple(f"would {'declare lost' if planned.lost else 'end'} {each}" for each in planned.named),
    )


class CancelResult(NamedTuple):
    """What became of it."""

    taken: Sequence[RecordedCommit]
    message: str
    next: str


def cancel(found: PartialView, selection: Selection, events: Events, lost: str = "") -> CancelResult:
    """Record that jobs are not wanted, then end them. Killed in between, the same command ends them.

    Args:
        lost: why nobody can ask them any more: they are declared lost, and ended only where that can be.

    Raises:
        CkgitError: nothing is to be cancelled; a job runs on another machine; or the jobs were ended and that could not be recorded.
    """
    planned = plan_cancel(observe_cancel(found, selection, lost))
    taken, unrecorded = _record(planned, events)
    with contextlib.suppress(*[CkgitError] if lost else []):
        end_jobs(planned)
    jobs = _jobs_text(planned)
    if unrecorded:
        raise CkgitError(
            f"{jobs} ended, and that could not be recorded: {unrecorded.what}",
            code=unrecorded.code,
            where=unrecorded.where or f"exp/{found.name}",
            state=unrecorded.state,
            next=f"{unrecorded.next}; then ckgit advance {found.name} records what became of the jobs" if found.ledger else unrecorded.next,
        )
    ended = "declared lost" if lost else "cancelled"
    message = f"{jobs} {ended}" if taken or not planned.attempts else f"{jobs} had been cancelled and still ran; ended now"
    return CancelResult(taken, message, _onward(found, taken))


def _onward(found: PartialView, taken: Sequence[RecordedCommit]) -> str:
    if found.problem:
        return found.problem.next  # no retry reads the design either
    if taken and found.ledger and found.ledger.work_tree and not is_there(Path(found.ledger.work_tree)):
        return f"ckgit revise {found.name} begins anew"
    return f"ckgit retry {found.name} runs them again" if taken else f"ckgit status {found.name}"


def _record(planned: CancelPlan, events: Events) -> tuple[list[RecordedCommit], CkgitError | None]:
    """Commit it; or why that cannot be. What runs is ended in either case."""
    found, step, snapshot = planned.found, planned.step, planned.found.snapshot
    if not step or not snapshot:
        why = None if snapshot or isinstance(found.unread, DeletedError) else found.unread
        return [], _not_begun(why) if why else None
    if found.blocked:
        return [], _not_begun(found.blocked)
    try:
        return [commit_and_tell(found.lab, step, events)], None
    except CkgitError as error:
        return [], error


def _not_begun(error: CkgitError) -> CkgitError:
    error.state = "nothing was recorded"  # that nothing was done is not true here: the jobs are ended
    return error


def end_jobs(planned: CancelPlan) -> None:
    """End the jobs of a plan. That one cannot be ended keeps no other one running.

    Raises:
        CkgitError: the first thing that went wrong.
    """
    troubles: list[CkgitError] = []
    for act in _acts(planned):
        try:
            act()
        except CkgitError as trouble:
            troubles.append(trouble)
    if troubles:
        raise troubles[0]


def _acts(planned: CancelPlan) -> Iterator[Callable[[], None]]:
    """What ends the jobs, in order."""
    found, ledger = planned.found, planned.found.ledger
    if ledger and ledger.work_tree:
        end = partial(scheduler_for(found.cluster).cancel, found.cluster, Path(ledger.work_tree))
        if planned.whole and ledger.detached:
            # the stand-in first: the end of the other would start it
            yield from (partial(end, [attempt]) for attempt in reversed(ledger.detached.attempts))
        if planned.attempts:
            yield partial(end, planned.attempts)
    for work in dict.fromkeys(orphan.work for orphan in planned.orphans):
        yield partial(orphans.end, found.lab, [orphan for orphan in planned.orphans if orphan.work == work])


def _jobs_text(planned: CancelPlan) -> str:
    ledger = planned.found.ledger
    jobs = plural(len(planned.attempts) + len(planned.orphans), "job")
    unknown = f" ({len(planned.orphans)} of them not in the ledger)" if planned.orphans else ""
    left = " and the one that was to go on" if planned.whole and ledger and ledger.detached else ""
    return f"{jobs}{unknown}{left}"
