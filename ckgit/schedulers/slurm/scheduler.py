"""The slurm scheduler: jobs are handed to SLURM once, and followed with one squeue a poll.

Nothing is remembered but in files of the work tree (records.py), so any process goes on where another stopped.
Command lines, parsers and the meaning of what is seen are pure and stand in modules of their own.
"""

from __future__ import annotations

import contextlib
import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.jobs import Attempt
from ckgit.experiment.scheduler import AccountReport, JobAccount, JobState, JobStatus, PollResult, Submission, UsageReport
from ckgit.jobs.folder import is_there, job_folder, user_name
from ckgit.jobs.handover import lost_files
from ckgit.schedulers.slurm import commands, records
from ckgit.schedulers.slurm.assess import Assessment, AttemptObservation, assess, assess_with_account, hold_back_arrays, unanswered
from ckgit.schedulers.slurm.call import call
from ckgit.schedulers.slurm.cancel import cancel, check_cancel
from ckgit.schedulers.slurm.parsers import (
    AccountRow,
    ParseError,
    QueueRow,
    SbatchOutcome,
    SbatchVerdict,
)
from ckgit.schedulers.slurm.queries import SHARED, NoAnswer, SharedPoll, ask_account, ask_usage
from ckgit.schedulers.slurm.states import is_over
from ckgit.schedulers.slurm.submit import HandoverResult, batch_of, hand_over, handle_of, name_of, units

_AT_ONCE = 2  # calls of sbatch
_LONGEST_STAGGER = 30.0  # seconds in which one call hands over one job after the other; then it is time to look at the others again


class SlurmScheduler(NamedTuple):
    """Runs jobs through sbatch, squeue, sacct and scancel."""

    name: str = "slurm"
    overlaps: bool = True
    detaches: bool = True
    poll_seconds: float = 60.0
    grace_seconds: float = 60.0

    def submit(self, cluster: Cluster, work: Path, submissions: Sequence[Submission]) -> Mapping[str, JobStatus]:
        """See `Scheduler.submit`. Tasks of one array go in one sbatch. At the first sign that SLURM takes no jobs now, the rest waits.

        With `stagger_seconds` as many are handed over as have their turn within half a minute; the rest is for the looks after it.

        Raises:
            CkgitError: TOOL_MISSING, there is no sbatch.
        """
        todo, answers, waits = units(submissions), dict[str, JobStatus](), list[str]()

        def hand(unit: Sequence[Submission]) -> HandoverResult:
            if waits:
                return HandoverResult({submission.token: JobStatus(JobState.UNSEEN, detail=waits[0]) for submission in unit})
            handed = hand_over(cluster, work, unit)
            waits.extend([handed.wait] if handed.wait else [])
            return handed

        alone = todo if cluster.stagger_seconds else todo[:1]  # the first one shows whether SLURM takes jobs now
        end = time.monotonic() + _LONGEST_STAGGER
        for unit in alone:
            if cluster.stagger_seconds and not waits and not _wait_for_turn(cluster, work, unit, end):
                waits.append(f"stagger_seconds is {cluster.stagger_seconds:g}: a later look hands it over")
            handed = hand(unit)
            answers |= handed.statuses
            if cluster.stagger_seconds and handed.called:
                records.note_handed(work)
        for handed in _in_threads(hand, todo[len(alone) :]):
            answers |= handed.statuses
        if shared := SHARED.get():
            shared.handed_over += sum(job_status.state is JobState.QUEUED for job_status in answers.values())
        return answers

    def poll(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> PollResult:
        """See `Scheduler.poll`: one squeue; and where that says too little one sacct, or a few for thousands of attempts.

        Raises:
            CkgitError: TOOL_MISSING, there is no squeue.
        """
        if not is_there(work):
            return PollResult({attempt.token: JobStatus(JobState.UNKNOWN, detail=f"there is no work tree {work}") for attempt in attempts})
        # before the queue is asked: what was handed over by then is in its answer
        traces, statuses = _read(work, attempts)
        followed = [attempt for attempt in attempts if attempt.token in traces]
        shared = SHARED.get() or SharedPoll()
        asked_before = shared.asked
        try:
            queue = shared.queue(cluster)
        except NoAnswer as why:
            statuses |= _unanswered(work, followed, traces, str(why))
            return PollResult(statuses, queries={"squeue": shared.asked - asked_before, "sacct": 0})
        observations = _observations(followed, traces, queue, cluster.grace_seconds or self.grace_seconds)
        assessments = {token: assess(observation) for token, observation in observations.items()}
        asked = [attempt for attempt in followed if assessments[attempt.token].ask]
        handles = {token: observation.handle for token, observation in observations.items()}
        accounts, calls = ask_account(cluster, asked, handles) if asked else ({}, 0)
        for token, account in accounts.items():
            assessments[token] = assess_with_account(observations[token], account)
        assessments = hold_back_arrays(assessments)
        for token, assessment in assessments.items():
            _note(work, token, observations[token], assessment)
        statuses |= {token: assessment.job_status for token, assessment in assessments.items()}
        in_queue = sum(not is_over(row.state) for row in queue) + shared.handed_over
        return PollResult(statuses, in_queue, {"squeue": shared.asked - asked_before, "sacct": calls})

    @contextlib.contextmanager
    def shared_poll(self) -> Iterator[None]:
        """See `Scheduler.shared_poll`: one squeue for each way of asking.

        A job that another process hands over after it and before its work tree is read is missed once, which begins its time
        of grace, and is seen by the next look.
        """
        before = SHARED.set(SharedPoll())
        try:
            yield
        finally:
            SHARED.reset(before)

    def check_cancel(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> None:
        """See `Scheduler.check_cancel`."""
        check_cancel(cluster, work, attempts)

    def cancel(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> None:
        """See `Scheduler.cancel`. Returns when they have left the queue, or some time after SLURM was told.

        Raises:
            CkgitError: SLURM did not take the order, or cannot be asked.
        """
        cancel(cluster, work, attempts)

    def usage(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> UsageReport:  # noqa: ARG002 - as all schedulers
        """See `Scheduler.usage`: one sacct for each thousand of them, and a second where a field is not known here."""
        if not attempts:
            return UsageReport({})
        ids = {attempt.token: attempt.job_id for attempt in attempts}
        asked = Counter[str]()
        try:
            for fields in (commands.USAGE_FIELDS, commands.ACCOUNT_FIELDS):
                if (found := ask_usage(cluster, fields, attempts, ids, asked)) is not None:
                    return UsageReport(found, asked)
        except (ParseError, CkgitError, OSError):
            pass
        return UsageReport({}, asked)

    def account(self, cluster: Cluster, attempts: Sequence[Attempt]) -> AccountReport:
        """See `Scheduler.account`: one sacct for each thousand of them."""
        if not attempts:
            return AccountReport({}, {})
        found, _ = ask_account(cluster, attempts, {attempt.token: attempt.job_id for attempt in attempts})
        silent = {token: each.failed or "SLURM keeps no accounts here" for token, each in found.items() if each.failed or each.off}
        rows = {token: each.rows[-1] for token, each in found.items() if each.rows and token not in silent}
        return AccountReport({token: _accounted(row) for token, row in rows.items()}, silent)

    def dry_run(self, cluster: Cluster, work: Path, submissions: Sequence[Submission], script: bytes) -> tuple[str, str]:
        """See `Scheduler.dry_run`."""
        command = commands.sbatch(cluster, work, batch_of(submissions))
        shown = shlex.join(commands.prefixed(cluster, command))
        try:
            return shown, call(cluster, commands.sbatch_test_only(command), given=script).words
        except CkgitError as error:
            return shown, error.what


def _accounted(row: AccountRow) -> JobAccount:
    code, _, signal = row.exit_code.partition(":")
    # A state that SLURM itself gave, TIMEOUT or NODE_FAIL, comes with 0:0; so does FAILED for a moment, until its exit code is booked.
    told = row.state == "COMPLETED" or (row.state == "FAILED" and code != "0")
    known = int(code) if told and code.isdecimal() and signal in ("", "0") else None
    return JobAccount([row.raw_id, row.handle], known, row.start, row.end)


def _wait_for_turn(cluster: Cluster, work: Path, unit: Sequence[Submission], end: float) -> bool:
    """Let time pass since the last hand-over, whoever made it; False where that takes too long."""
    pause = 0.0 if unit[0].after else cluster.stagger_seconds - records.since_handed(work)  # what waits for others does not start now
    if time.monotonic() + pause > end:
        return False
    time.sleep(max(0.0, pause))
    return True


def _in_threads(hand: Callable[[Sequence[Submission]], HandoverResult], todo: Sequence[Sequence[Submission]]) -> list[HandoverResult]:
    """Hand over a few at once: while one sbatch waits for the controller, the record of another is written."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        return list(pool.map(hand, todo))
    finally:
        pool.shutdown(cancel_futures=True)  # on an interrupt, those that have begun end well


def _read(work: Path, attempts: Sequence[Attempt]) -> tuple[dict[str, records.FolderTraces], dict[str, JobStatus]]:
    """What lies in the work tree about each attempt; where that cannot be read, what to say instead."""
    known: dict[Path, records.HandoverRecord | None] = {}  # read once, so that the tasks of an array are seen at one moment
    users: dict[Path, str] = {}
    traces, unreadable = {}, {}
    for attempt in attempts:
        token = attempt.token
        folder = records.record_folder(work, token)
        try:
            if folder not in known:
                known[folder] = records.read_record(folder)
                users[folder] = records.other_user(folder) if known[folder] else ""
            lost = not known[folder] and lost_files(work, folder) is not None
            traces[token] = records.read_traces(job_folder(work, token), known[folder])._replace(lost=lost, user=users[folder])
        except OSError as error:
            unreadable[token] = JobStatus(JobState.UNKNOWN, attempt.job_id, f"its files cannot be read: {error.strerror}")
    return traces, unreadable


def _unanswered(work: Path, attempts: Sequence[Attempt], traces: Mapping[str, records.FolderTraces], words: str) -> dict[str, JobStatus]:
    """The controller does not answer: for how long a job is missing counts anew when it does."""
    for attempt in attempts:
        if traces[attempt.token].absent is not None:
            records.forget_absent(job_folder(work, attempt.token))
    return {attempt.token: unanswered(traces[attempt.token], attempt.job_id, words) for attempt in attempts}


def _observations(
    attempts: Sequence[Attempt], traces: Mapping[str, records.FolderTraces], queue: Sequence[QueueRow], grace: float
) -> dict[str, AttemptObservation]:
    """Files and queue of each attempt."""
    by_token: dict[str, list[QueueRow]] = {}
    for row in queue:
        by_token.setdefault(row.token, []).append(row)
    by_name = {row.name: row for row in queue}
    observations = {}
    for attempt in attempts:
        token, known = attempt.token, traces[attempt.token]
        accepted = _accepted(known, by_name.get(name_of(token)), attempt)
        handle = handle_of(token, accepted) if accepted else known.claim_id
        observations[token] = AttemptObservation(known, by_token.get(token, ()), accepted, handle, grace, user_name)
    return observations


def _accepted(traces: records.FolderTraces, row: QueueRow | None, attempt: Attempt) -> str | None:
    """Id under which SLURM took the job, or the array that it is a task of."""
    verdict = traces.record.verdict if traces.record else None
    if verdict and verdict.outcome is SbatchOutcome.ACCEPTED:
        return verdict.job_id
    return row.array if row else attempt.job_id.partition("_")[0] if attempt.job_id else None


def _note(work: Path, token: str, observation: AttemptObservation, assessment: Assessment) -> None:
    """Leave in the work tree what other processes, or this one later, must know."""
    folder = job_folder(work, token)
    with contextlib.suppress(OSError):  # what cannot be noted is found out again
        record = observation.traces.record
        if record and assessment.settled:
            records.settle(records.record_folder(work, token), record, assessment.settled)
        elif record and record.verdict.outcome is SbatchOutcome.AMBIGUOUS and observation.accepted:
            records.settle(records.record_folder(work, token), record, SbatchVerdict(SbatchOutcome.ACCEPTED, observation.accepted))
        if assessment.missing:
            records.note_absent(folder)
        # what is gone stays so at the next poll
        elif observation.traces.absent is not None and assessment.job_status.state is not JobState.GONE:
            records.forget_absent(folder)  # last: what it led to is known to all by now


scheduler = SlurmScheduler()
