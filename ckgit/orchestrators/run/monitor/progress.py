"""How far running jobs are, as their output tells."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from ckgit.experiment.events import JobProgress
from ckgit.experiment.jobs import Attempt, Job, Progress
from ckgit.experiment.worker import Context, Worker
from ckgit.jobs.folder import job_folder
from ckgit.orchestrators.engine.logs import tail


@dataclass
class Pace:
    """How fast one job goes, by the steps that were seen: the time before its first step is start-up, which says nothing of the others."""

    first: tuple[float, int] | None = None  # when a step was first seen, and which
    last: int = 0  # the step that was seen last

    def left(self, found: Progress, now: float) -> float | None:
        """Seconds that the remaining steps take; None before two different steps were seen."""
        begins = self.first is None or found.step < self.last  # a job that was started again counts anew
        self.last = found.step
        if begins:
            self.first = (now, found.step) if found.step else None
        if self.first is None:
            return None
        since, step = self.first
        return (now - since) / (found.step - step) * (found.steps - found.step) if found.step > step else None


@dataclass
class ProgressMeter:
    """Measures the running jobs of one work tree."""

    context: Context
    work: Path
    _since: dict[str, float] = field(default_factory=dict)  # by token: when it started
    _paces: dict[str, Pace] = field(default_factory=dict)  # by token

    def runs(self, token: str) -> None:
        """Note that a job runs."""
        self._since.setdefault(token, self._claimed(token))

    def of(self, attempt: Attempt, job: Job, worker: Worker) -> JobProgress:
        """How far a running job is."""
        output = tail(job_folder(self.work, attempt.token) / "output")
        found = worker.progress(self.context, job, self.work, output)
        elapsed = max(0.0, time.time() - self._since.get(attempt.token, time.time()))
        if found is None or not found.steps:
            return JobProgress(job=job.name, elapsed=elapsed)
        left = self._paces.setdefault(attempt.token, Pace()).left(found, time.monotonic())
        return JobProgress(
            job=job.name, elapsed=elapsed, step=found.step, steps=found.steps, loss=found.loss, seconds_left=left, note=found.note
        )

    def _claimed(self, token: str) -> float:
        try:
            return (job_folder(self.work, token) / "claim").stat().st_mtime
        except OSError:
            return time.time()
