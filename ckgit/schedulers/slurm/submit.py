"""Handing a job, or an array of jobs, over to SLURM: at most once, whatever else is going on.

The order of things: the record (records.py), the look for a cancellation, sbatch, its answer. Between any two of them
this process may die, and another one may cancel.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.jobs import task_of
from ckgit.experiment.scheduler import JobState, JobStatus, Submission
from ckgit.jobs.folder import job_folder
from ckgit.jobs.handover import begin_handover, lost_files
from ckgit.jobs.own_setup import write_own_setup
from ckgit.schedulers.slurm import commands, records
from ckgit.schedulers.slurm.assess import never_started, refused
from ckgit.schedulers.slurm.call import call
from ckgit.schedulers.slurm.parsers import SbatchOutcome, SbatchVerdict, judge_sbatch


class HandoverResult(NamedTuple):
    """What became of one sbatch."""

    statuses: Mapping[str, JobStatus]
    wait: str = ""  # why no other job is to be handed over now
    called: bool = False


def units(submissions: Sequence[Submission]) -> list[list[Submission]]:
    """What goes into one sbatch each."""
    found: dict[str, list[Submission]] = {}
    for submission in submissions:
        task = task_of(submission.token)
        found.setdefault(task.array if task else submission.token, []).append(submission)
    return list(found.values())


def batch_of(unit: Sequence[Submission]) -> commands.BatchOptions:
    """The one sbatch of a unit."""
    first = unit[0]
    changed = first.resources if first.changed else None
    task = task_of(first.token)
    if not task:
        waits = (first.after, first.after_any, first.if_failed, first.delay)
        return commands.BatchOptions(first.token, first.script, first.output, (), changed, first.resources, *waits)
    indices = [each.number for submission in unit if (each := task_of(submission.token))]
    script, output = f".ckgit/arrays/{task.array}/script", first.output.replace(first.token, "%x_%a")
    return commands.BatchOptions(task.array, script, output, indices, changed, first.resources, first.after, first.after_any)


def hand_over(cluster: Cluster, work: Path, unit: Sequence[Submission]) -> HandoverResult:
    """Call sbatch for a job or an array, unless it was called before, or must not be."""
    name = unit[0].token
    try:
        cancelled = [submission for submission in unit if _is_cancelled(work, submission.token)]
        rest = [submission for submission in unit if submission not in cancelled]
        answers = {submission.token: never_started() for submission in cancelled}
        if not rest:
            return HandoverResult(answers)
        folder = records.record_folder(work, name)
        for submission in rest:
            (work / submission.output).parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        record = records.read_record(folder)
        if not record and lost_files(work, folder) is not None:
            return HandoverResult({**answers, **{submission.token: _LOST for submission in rest}})
        if (record and record.verdict.outcome is not SbatchOutcome.ABSENT) or any(
            _is_claimed(work, submission.token) for submission in rest
        ):
            return HandoverResult({**answers, **{submission.token: _before(record, submission.token) for submission in rest}})
        begin_handover(work, folder)
        handing = records.take(folder, record.number + 1 if record else 1)
    except OSError as error:
        broken = JobStatus(JobState.UNSEEN, detail=f"its hand-over cannot be recorded: {error}")
        return HandoverResult({submission.token: broken for submission in unit})
    if handing is None:
        return HandoverResult({**answers, **{submission.token: _IN_OTHER_HANDS for submission in rest}})
    try:
        handed = _call_sbatch(cluster, work, rest, handing)
    finally:
        records.release(handing)
    return handed._replace(statuses={**answers, **handed.statuses})


_LOST = JobStatus(JobState.UNKNOWN, detail="it was handed over before, and the record of it is lost")
_IN_OTHER_HANDS = JobStatus(JobState.UNKNOWN, detail="another ckgit hands it over")


def _before(record: records.HandoverRecord | None, token: str) -> JobStatus:
    """The status of a job that was handed over before, for who is asked to do it again."""
    if record and record.verdict.outcome is SbatchOutcome.ACCEPTED:
        return JobStatus(JobState.QUEUED, handle_of(token, record.verdict.job_id))
    if record and record.verdict.outcome is SbatchOutcome.REFUSED:
        return refused(record.verdict)
    return _IN_OTHER_HANDS if record and record.busy else JobStatus(JobState.UNKNOWN, detail="it was handed over before")


def _call_sbatch(cluster: Cluster, work: Path, unit: Sequence[Submission], handing: records.Handover) -> HandoverResult:
    """Hand over what this process alone may hand over now."""
    tokens = [submission.token for submission in unit]
    if all(_is_cancelled(work, token) for token in tokens):
        records.take_back(handing)
        return HandoverResult(dict.fromkeys(tokens, never_started()))
    batch = batch_of(unit)
    try:
        for token in tokens:
            write_own_setup(job_folder(work, token), cluster)
        if batch.indices:
            _write_array_script(work, batch, unit)
    except OSError as error:
        records.take_back(handing)
        return HandoverResult(dict.fromkeys(tokens, JobStatus(JobState.UNSEEN, detail=f"what it begins with cannot be written: {error}")))
    try:
        verdict = judge_sbatch(call(cluster, commands.sbatch(cluster, work, batch), cwd=work, lock=handing.lock))
    except CkgitError:  # there is no sbatch
        records.take_back(handing)
        raise
    except OSError as error:
        verdict = SbatchVerdict(SbatchOutcome.AMBIGUOUS, words=str(error))
    if verdict.outcome in {SbatchOutcome.LATER, SbatchOutcome.UNREACHABLE}:
        records.take_back(handing)
        detail = f"sbatch takes no job now: {verdict.words}"
        return HandoverResult(dict.fromkeys(tokens, JobStatus(JobState.UNSEEN, detail=detail)), wait=detail, called=True)
    with contextlib.suppress(OSError):  # the job's name is enough to find it by
        records.write_answer(handing.path, handing.nonce, verdict)
    return _answered(cluster, work, tokens, verdict)


def _answered(cluster: Cluster, work: Path, tokens: Sequence[str], verdict: SbatchVerdict) -> HandoverResult:
    if verdict.outcome is SbatchOutcome.REFUSED:
        return HandoverResult(dict.fromkeys(tokens, refused(verdict)), called=True)
    if verdict.outcome is SbatchOutcome.AMBIGUOUS:
        detail = f"it may have been accepted: {verdict.words}"
        wait = f"sbatch did not answer clearly for another job: {verdict.words}"
        return HandoverResult(dict.fromkeys(tokens, JobStatus(JobState.UNKNOWN, detail=detail)), wait=wait, called=True)
    handles = {token: handle_of(token, verdict.job_id) for token in tokens}
    late = [handle for token, handle in handles.items() if _is_cancelled(work, token)]
    if late:  # the mark came while sbatch ran, and who left it may have looked before this job was in the queue
        call(cluster, commands.scancel(cluster, late))
    return HandoverResult({token: JobStatus(JobState.QUEUED, handle) for token, handle in handles.items()}, called=True)


def _write_array_script(work: Path, batch: commands.BatchOptions, unit: Sequence[Submission]) -> None:
    scripts = dict(zip(batch.indices, (submission.script for submission in unit), strict=True))
    text = commands.array_script((work / unit[0].script).read_text(encoding="utf-8"), scripts)
    part = (work / batch.script).with_name("script.part")
    part.write_text(text, encoding="utf-8")
    part.replace(work / batch.script)


def name_of(token: str) -> str:
    """What SLURM calls a job: for a task it is its array's name."""
    task = task_of(token)
    return task.array if task else token


def handle_of(token: str, job_id: str) -> str:
    """How SLURM's commands know a job: by the id that sbatch gave, and in an array by the task's index, too."""
    task = task_of(token)
    return f"{job_id}_{task.number}" if task else job_id


def _is_cancelled(work: Path, token: str) -> bool:
    return (job_folder(work, token) / "cancelled").exists()


def _is_claimed(work: Path, token: str) -> bool:
    return (job_folder(work, token) / "claim").exists()
