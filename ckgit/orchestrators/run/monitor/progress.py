"""How far the running jobs are, as their output tells, and how far the whole is. The monitor and `ckgit status` both ask here."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ckgit.experiment.classify import JobCondition, classify, newest
from ckgit.experiment.design.model import Stage
from ckgit.experiment.estimates.file import Estimate
from ckgit.experiment.jobs import Attempt, Job, Progress
from ckgit.experiment.outputs.events import JobProgress, OverallProgress
from ckgit.experiment.scheduler import JobState
from ckgit.experiment.worker import Context, Worker
from ckgit.jobs.folder import job_folder
from ckgit.orchestrators.engine.logs import tail
from ckgit.orchestrators.run.collect import EndedAttempt
from ckgit.orchestrators.run.monitor.time_left import TimeLeft


@dataclass
class Pace:
    """How fast one job goes, by the steps that were seen: the time before its first step is start-up, which says nothing of the others."""

    first: tuple[float, int] | None = None  # when a step was first seen, and which
    last: int = 0  # the step that was seen last

    def rate(self, found: Progress, now: float) -> float | None:
        """Steps a second; None before two different steps were seen."""
        begins = self.first is None or found.step < self.last  # a job that was started again counts anew
        self.last = found.step
        if begins:
            self.first = (now, found.step) if found.step else None
        if self.first is None:
            return None
        since, step = self.first
        return (found.step - step) / (now - since) if found.step > step and now > since else None


@dataclass
class ProgressMeter:
    """Measures an experiment whose jobs run in one work tree."""

    workers: Mapping[Stage, Worker]
    context: Context
    work: Path
    attempts: Sequence[Attempt]  # as the ledger has them
    accepted: Collection[str]  # names of the jobs that were passed over
    estimate: Estimate | None
    once: bool = False  # whether it is asked no second time, so that a pace is reckoned from the job's start
    _since: dict[str, float] = field(default_factory=dict)  # by token: when it started
    _paces: dict[str, Pace] = field(default_factory=dict)  # by token
    _at_once: int = 0  # most jobs that were seen to run at a time

    @cached_property
    def _jobs(self) -> Mapping[str, Job]:
        return {job.name: job for worker in self.workers.values() for job in worker.jobs(self.context)}

    def whole(self, seen: Mapping[str, JobState], ended: Mapping[str, EndedAttempt] = {}) -> OverallProgress:
        """How far the experiment is.

        Args:
            seen: what the scheduler said of the open attempts, by token.
            ended: attempts that have ended since the ledger was written, by token.
        """
        latest = newest(self.attempts)
        conditions = {name: _condition(latest.get(name), seen, ended, accepted=name in self.accepted) for name in self._jobs}
        running = [self._of(latest[name], job) for name, job in self._jobs.items() if conditions[name] is JobCondition.RUNNING]
        self._at_once = max(self._at_once, len(running))
        took = {name: seconds for name, attempt in latest.items() if (seconds := _seconds(attempt, ended))}
        waiting = [job for name, job in self._jobs.items() if conditions[name].is_open or conditions[name] is JobCondition.UNSUBMITTED]
        left = TimeLeft(self.estimate.seconds() if self.estimate else {}, {name: job.stage for name, job in self._jobs.items()}, took)
        counted = [condition for condition in conditions.values() if condition is not JobCondition.ACCEPTED]
        return OverallProgress(
            done=counted.count(JobCondition.DONE),
            failed=sum(condition.is_bad for condition in counted),
            total=len(counted),
            seconds_left=left.of(running, [job.name for job in waiting], self._at_once),
            jobs=tuple(running),
        )

    def _of(self, attempt: Attempt, job: Job) -> JobProgress:
        """How far a running job is."""
        output = tail(job_folder(self.work, attempt.token) / "output")
        found = self.workers[job.stage].progress(self.context, job, self.work, output)
        elapsed = max(0.0, time.time() - self._since.setdefault(attempt.token, self._claimed(attempt.token)))
        if found is None:
            return JobProgress(job=job.name, elapsed=elapsed, loading=True)
        rate = found.rate or self._rate(attempt, found, elapsed)
        left = (found.steps - found.step) / rate if rate and found.steps else None
        return JobProgress(
            job=job.name,
            elapsed=elapsed,
            step=found.step,
            steps=found.steps or None,
            loss=found.loss,
            rate=rate,
            seconds_left=left,
            note=found.note,
        )

    def _rate(self, attempt: Attempt, found: Progress, elapsed: float) -> float | None:
        """Steps a second, of a tool that does not tell: by what was seen, or by the time since start-up as that was expected."""
        if not self.once:
            return self._paces.setdefault(attempt.token, Pace()).rate(found, time.monotonic())
        working = elapsed - _start(self.estimate, attempt.job)
        return found.step / working if found.step and working > 0 else None

    def _claimed(self, token: str) -> float:
        try:
            return (job_folder(self.work, token) / "claim").stat().st_mtime
        except OSError:
            return time.time()


def _condition(attempt: Attempt | None, seen: Mapping[str, JobState], ended: Mapping[str, EndedAttempt], *, accepted: bool) -> JobCondition:
    """Where a job stands by what is known since the ledger was written; one that has ended is not judged yet."""
    if attempt and (end := ended.get(attempt.token)):
        return JobCondition.DONE if end.status and end.status.exit_code == 0 else JobCondition.FAILED
    return classify(attempt, seen=seen.get(attempt.token, "") if attempt else "", accepted=accepted)


def _seconds(attempt: Attempt, ended: Mapping[str, EndedAttempt]) -> float | None:
    """How long a job took that did its work."""
    if end := ended.get(attempt.token):
        return end.seconds if end.status and end.status.exit_code == 0 else None
    return attempt.seconds if classify(attempt) is JobCondition.DONE else None


def _start(estimate: Estimate | None, job: str) -> float:
    """Seconds that start-up of a job was expected to take."""
    groups: Sequence[float] = [
        each.start or each.assumed_start or 0.0 for each in (estimate.groups if estimate else ()) if job in each.assumed
    ]
    return next(iter(groups), 0.0)
