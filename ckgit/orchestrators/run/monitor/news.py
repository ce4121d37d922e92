"""What a look at the jobs shows that is new, gathered until it is over and told at once: jobs of which the same is said share an event."""

from __future__ import annotations

from collections.abc import Mapping

from ckgit.experiment.jobs import Attempt
from ckgit.experiment.outputs.events import JobEnded, JobStateChanged, Polled
from ckgit.experiment.scheduler import JobState, JobStatus
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.run.collect import EndedAttempt


class JobNews:
    """The news of one look at the jobs of an experiment."""

    def __init__(self, experiment: str, events: Events) -> None:
        self._experiment, self._events = experiment, events
        self._changed = False
        self._of_jobs: dict[JobStateChanged | JobEnded, list[tuple[str, float | None]]] = {}  # the job, and how long it took

    def note(self, attempt: Attempt, before: JobStatus | None, now: JobStatus, ended: EndedAttempt | None) -> None:
        """Take note of what is seen of a job.

        Args:
            before: what was seen of it until now.
            ended: how it ended, where it is known to have.
        """
        moved = before is None or before.state is not now.state  # that SLURM expects a later start is no news
        self._changed |= moved or ended is not None
        if ended:
            self._of_jobs.setdefault(self._ending(ended), []).append((attempt.job, ended.seconds))
        elif moved and now.state is not JobState.GONE:
            state = JobStateChanged(experiment=self._experiment, jobs=(), seen=now.state, detail=now.detail)
            self._of_jobs.setdefault(state, []).append((attempt.job, None))

    def tell(self, by_state: Mapping[str, int], ended: int) -> bool:
        """Tell them, and how many jobs are open and have ended. Returns whether anything was new."""
        for event, told in self._of_jobs.items():
            took = {"seconds": tuple(seconds for _, seconds in told)} if isinstance(event, JobEnded) else {}
            self._events.emit(event.model_copy(update={"jobs": tuple(job for job, _ in told), **took}))
        self._events.emit(Polled(experiment=self._experiment, open=dict(by_state), ended=ended))
        changed, self._changed = self._changed, False
        self._of_jobs.clear()
        return changed

    def _ending(self, ended: EndedAttempt) -> JobEnded:
        if ended.status:
            return JobEnded(experiment=self._experiment, jobs=(), exit_code=ended.status.exit_code)
        return JobEnded(experiment=self._experiment, jobs=(), failure=ended.failure, reason=ended.reason)
