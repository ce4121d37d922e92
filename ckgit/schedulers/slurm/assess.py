"""What is known of one attempt, from its folder, the queue and accounting. Pure: what follows for the folder is said, not done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ckgit.experiment.jobs import FailureClass, task_of
from ckgit.experiment.scheduler import JobEnding, JobState, JobStatus
from ckgit.schedulers.slurm.parsers import AccountRow, QueueRow, SbatchOutcome, SbatchVerdict
from ckgit.schedulers.slurm.records import FolderTraces
from ckgit.schedulers.slurm.states import ALIVE, MAY_RETURN, detail, end_of, ending, is_over

ACCOUNTING_LAGS = 15.0  # seconds in which sacct may not know yet how a job ended
MOST_TRIES = 3  # hand-overs of which nothing comes, and sbatch says nothing that is known here


_CANCELLED = JobEnding(FailureClass.CANCELLED, "it was cancelled before it started")


class AccountedJob(NamedTuple):
    """What accounting says of one attempt."""

    rows: Sequence[AccountRow] = ()
    failed: str = ""  # why it cannot be asked now
    off: bool = False  # whether there is none here


class Assessment(NamedTuple):
    """What is known of an attempt, and what is to be noted in its folder."""

    job_status: JobStatus
    ask: bool = False  # accounting is to be asked; until then this is what is known
    missing: bool = False  # it is not there: note since when
    settled: SbatchVerdict | None = None  # what turned out of an ambiguous hand-over


class AttemptObservation(NamedTuple):
    """One attempt, as a poll finds it."""

    traces: FolderTraces
    rows: Sequence[QueueRow]  # of its token; more than one where it was handed over twice
    accepted: str | None  # id by which SLURM took it or its array, where that is known
    handle: str | None  # the id for people and for later commands
    grace: float
    user_name: Callable[[int], str]


def unanswered(traces: FolderTraces, handle: str | None, words: str) -> JobStatus:
    """What can be said while the controller does not answer."""
    if traces.exit_code == 0:
        return JobStatus(JobState.GONE, handle)
    return JobStatus(JobState.UNKNOWN, handle, f"squeue: {words}")


def assess(observation: AttemptObservation) -> Assessment:
    """What files and queue say."""
    row, traces = _own(observation), observation.traces
    if row and not is_over(row.state):
        seen = ALIVE.get(row.state, JobState.UNKNOWN)
        what = detail(row) if row.state in ALIVE else f"SLURM says {row.state or 'nothing'}, which means nothing to ckgit"
        return Assessment(JobStatus(seen, row.handle, what))
    if row:
        return _over(observation, row)
    if traces.exit_code == 0:
        return Assessment(JobStatus(JobState.GONE, observation.handle))
    if traces.user and not traces.ended:
        told = f"{traces.user} has handed it over, and only they see it in the queue"
        return Assessment(JobStatus(JobState.UNKNOWN, observation.handle, told))
    if traces.claimed or traces.ended or observation.accepted:
        return Assessment(_missed(observation), ask=True, missing=True)
    return _never_seen(observation)


def assess_with_account(observation: AttemptObservation, account: AccountedJob) -> Assessment:
    """What files, queue and accounting say, where `assess` asks for it."""
    row, booked = _own(observation), _booked(observation, account)
    missed = observation.traces.absent or 0.0
    if booked and is_over(booked.state) and not (row and row.state != booked.state):
        if booked.state in MAY_RETURN and missed < observation.grace:
            return Assessment(_waits(observation, f"SLURM says {booked.state}: it may be queued again"), missing=True)
        return Assessment(_gone(observation, row, booked), settled=_found(observation, booked))
    if row:  # squeue forgets nothing within minutes: what it says is known, and accounting comes later
        if missed < ACCOUNTING_LAGS and not account.off:
            return Assessment(_waits(observation, f"SLURM says {row.state}, and accounting not yet why"), missing=True)
        return Assessment(_gone(observation, row, None))
    if missed < observation.grace:
        return Assessment(_missed(observation, account.failed), missing=True, settled=booked and _found(observation, booked))
    return _missed_long(observation, account, booked)


def hold_back_arrays(assessments: Mapping[str, Assessment]) -> dict[str, Assessment]:
    """The tasks of an array are handed over by one sbatch: none is unseen while another one is unclear, or known to have been taken."""
    unclear = {task.array for token, assessment in assessments.items() if _holds_back(assessment) and (task := task_of(token))}

    def of(token: str, assessment: Assessment) -> Assessment:
        task = task_of(token)
        if assessment.job_status.state is not JobState.UNSEEN or not task or task.array not in unclear:
            return assessment
        waits = JobStatus(JobState.UNKNOWN, detail="nothing can be said yet of all tasks of its array")
        return Assessment(waits, missing=assessment.settled is not None)

    return {token: of(token, assessment) for token, assessment in assessments.items()}


def _holds_back(assessment: Assessment) -> bool:
    return assessment.job_status.state is JobState.UNKNOWN or (
        assessment.settled is not None and assessment.settled.outcome is SbatchOutcome.ACCEPTED
    )


def _missed_long(observation: AttemptObservation, account: AccountedJob, booked: AccountRow | None) -> Assessment:
    """In no queue for the time of grace, and accounting knows no end."""
    traces = observation.traces
    if traces.ended:
        return Assessment(JobStatus(JobState.GONE, observation.handle))
    if account.failed:
        return Assessment(_missed(observation, account.failed), missing=True)
    if booked:
        return Assessment(_waits(observation, f"accounting says {booked.state}, and the queue does not have it"), missing=True)
    if traces.claimed or observation.accepted or traces.lost:
        if traces.cancelled:
            return Assessment(JobStatus(JobState.GONE, observation.handle, ending=_CANCELLED))
        known = f"job {observation.handle}" if observation.handle else "it"
        lost = JobEnding(FailureClass.LOST, f"neither the queue nor accounting knows {known} any more, and it left no status")
        return Assessment(JobStatus(JobState.GONE, observation.handle, ending=lost))
    record = traces.record
    if record and record.number >= MOST_TRIES:
        verdict = SbatchVerdict(
            SbatchOutcome.REFUSED, words=f"{record.number} times nothing came of sbatch; it said: {record.verdict.words}"
        )
        return Assessment(refused(verdict), settled=verdict)
    return Assessment(JobStatus(JobState.UNSEEN), settled=SbatchVerdict(SbatchOutcome.ABSENT, words=record.verdict.words if record else ""))


def _over(observation: AttemptObservation, row: QueueRow) -> Assessment:
    """The queue still has it, and it is over. Where that says too little, accounting is asked."""
    traces = observation.traces
    if row.state in MAY_RETURN and (traces.absent or 0.0) < observation.grace:
        return Assessment(_waits(observation, f"SLURM says {row.state}: it may be queued again"), missing=True)
    if row.state == "CANCELLED" or (row.state == "FAILED" and not traces.ended):
        return Assessment(_waits(observation, f"SLURM says {row.state}"), ask=True, missing=True)
    return Assessment(_gone(observation, row, None))


def _never_seen(observation: AttemptObservation) -> Assessment:
    """In no queue, never claimed, and not known to be accepted."""
    traces, record = observation.traces, observation.traces.record
    outcome = record.verdict.outcome if record else SbatchOutcome.ABSENT
    if record and record.busy:
        return Assessment(JobStatus(JobState.UNKNOWN, detail="it is being handed over"))
    if record and outcome is SbatchOutcome.REFUSED:
        return Assessment(refused(record.verdict))
    if outcome is SbatchOutcome.ABSENT and not traces.lost:
        return Assessment(never_started() if traces.cancelled else JobStatus(JobState.UNSEEN))
    return Assessment(_missed(observation), ask=True, missing=True)


def never_started() -> JobStatus:
    """The status of a job that was cancelled before it started."""
    return JobStatus(JobState.GONE, ending=_CANCELLED)


def refused(verdict: SbatchVerdict) -> JobStatus:
    """The status of a job that SLURM refused."""
    return JobStatus(JobState.GONE, ending=JobEnding(FailureClass.REFUSED, f"sbatch did not take it: {verdict.words}"))


def _waits(observation: AttemptObservation, words: str) -> JobStatus:
    return JobStatus(JobState.UNKNOWN, observation.handle, words)


def _missed(observation: AttemptObservation, trouble: str = "") -> JobStatus:
    record = observation.traces.record
    unclear = record and not (observation.accepted or observation.traces.claimed or observation.traces.ended)
    words = f"it may have been accepted: {record.verdict.words}" if record and unclear else "it is not in the queue"
    words += ", and the record of its hand-over is lost" if observation.traces.lost else ""
    return _waits(observation, f"{words}; {trouble}" if trouble else words)


def _gone(observation: AttemptObservation, row: QueueRow | None, booked: AccountRow | None) -> JobStatus:
    handle = row.handle if row else booked.handle if booked else observation.handle
    end = ending(end_of(row, booked), observation.user_name, printed=observation.traces.printed)
    # a job that finds the mark ends at once, and well
    return JobStatus(
        JobState.GONE,
        handle,
        ending=_CANCELLED if observation.traces.cancelled and not observation.traces.ended and not end.failure else end,
    )


def _found(observation: AttemptObservation, booked: AccountRow) -> SbatchVerdict | None:
    return None if observation.accepted else SbatchVerdict(SbatchOutcome.ACCEPTED, booked.array)


def _own(observation: AttemptObservation) -> QueueRow | None:
    """The job that is this attempt: the one with the claim; before there is one, one that may still get it."""
    claimed = [row for row in observation.rows if observation.traces.claim_id in {row.id, row.handle}]
    if claimed:
        return claimed[-1]
    if observation.traces.claim_id:
        return None  # the others came late, and will find the claim
    return min(
        observation.rows, key=lambda row: (is_over(row.state), ALIVE.get(row.state) is not JobState.RUNNING, -int(row.id)), default=None
    )


def _booked(observation: AttemptObservation, account: AccountedJob) -> AccountRow | None:
    """Its row in accounting: that of the job which runs it, or the last one."""
    wanted = observation.traces.claim_id or observation.accepted
    exact = [row for row in account.rows if wanted in {row.raw_id, row.array}]
    return max(exact or account.rows, key=lambda row: (row.raw_id == wanted, is_over(row.state), row.submitted or 0), default=None)
