"""When all jobs of an experiment will have ended: by what each was expected to take, and by how far off that was so far. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckgit.experiment.design.model import Stage
from ckgit.experiment.outputs.events import JobProgress


class TimeLeft(NamedTuple):
    """What is known of how long jobs take."""

    expected: Mapping[str, float]  # seconds, by job, as they were estimated
    stages: Mapping[str, Stage]  # by job
    took: Mapping[str, float]  # seconds, of those that are done

    def of(self, running: Sequence[JobProgress], unfinished: Sequence[str], at_once: int) -> float | None:
        """Seconds until the last one ends; None where nothing runs, or nothing is known of how long a job takes.

        How long jobs wait in a queue nobody knows: it is as if they did not.

        Args:
            unfinished: all jobs that have not ended, those that run among them.
            at_once: how many run at a time.
        """
        known = {**self.took, **{each.job: each.elapsed + each.seconds_left for each in running if each.seconds_left is not None}}
        stages = {stage: self._learned(stage, known) for stage in Stage}
        now = [self._left(each, stages[self.stages[each.job]]) for each in running]
        run = {each.job for each in running}
        later = [stages[self.stages[job]].seconds(self.expected.get(job)) for job in unfinished if job not in run]
        parts = [part for part in (*now, *later) if part is not None]
        if not running or len(parts) < len(now) + len(later):
            return None
        return max(*parts, sum(parts) / max(at_once, 1))

    def _left(self, job: JobProgress, learned: _Learned) -> float | None:
        if job.seconds_left is not None:
            return job.seconds_left
        whole = learned.seconds(self.expected.get(job.job))
        return whole - job.elapsed if whole is not None and whole > job.elapsed else None

    def _learned(self, stage: Stage, known: Mapping[str, float]) -> _Learned:
        """By the jobs of a stage; how far off the estimate is, by those of the other one as long as none of this one tells."""
        alike = [job for job in known if self.stages.get(job) is stage]
        estimated = [job for job in alike if self.expected.get(job)] or [job for job in known if self.expected.get(job)]
        off = sum(known[job] for job in estimated) / sum(self.expected[job] for job in estimated) if estimated else 1.0
        return _Learned(off, sum(known[job] for job in alike) / len(alike) if alike else None)


class _Learned(NamedTuple):
    """What the jobs of a stage tell of the others."""

    off: float  # what they take, over what was expected
    mean: float | None  # seconds; None where none is known

    def seconds(self, expected: float | None) -> float | None:
        """How long a job takes from its start to its end."""
        return expected * self.off if expected else self.mean
