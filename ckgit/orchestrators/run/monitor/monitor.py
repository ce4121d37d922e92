"""What the scheduler says of jobs: ask it, say what changed, notice what ended; and hand over what it has not.

Whatever cannot be told now is waited for: an unknown job is neither done nor failed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ckgit.errors import CkgitError
from ckgit.experiment.classify import classify
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, Job
from ckgit.experiment.outputs.events import JobEnded, JobStateChanged, Noted, Polled, Progressed
from ckgit.experiment.scheduler import JobState, JobStatus, PollResult, Scheduler
from ckgit.experiment.worker import Context, Worker
from ckgit.jobs.ownership import own
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.run.collect import EndedAttempt
from ckgit.orchestrators.run.monitor.endings import Endings
from ckgit.orchestrators.run.monitor.progress import ProgressMeter
from ckgit.orchestrators.run.monitor.submission import NO_SUBMISSION, Queue, SubmissionPlan, broken, plan_submission, submission_of

_SLOWER, _SLOWEST = 1.25, 3.0  # each nap in which nothing changed makes the next one longer, up to so many times the first
_SETTLING = 4  # polls in the time that a file system may take


@dataclass
class Monitor:
    """The open attempts of an experiment in one work tree, and what was last seen of them."""

    workers: Mapping[Stage, Worker]
    context: Context
    cluster: Cluster
    refresh: Callable[[], Cluster]  # with the limits as they are now: they may change while jobs are waited for
    scheduler: Scheduler
    work: Path
    jobs: Mapping[str, Job]  # by name
    first: str  # token of the first attempt of the ledger, which owns the work tree
    attempts: Sequence[Attempt]
    wanted: frozenset[str]  # tokens of those whose end is waited for
    events: Events
    meter: ProgressMeter
    detached: int = 0  # 1 where a job of ours may be in the queue that goes on with the experiment
    statuses: dict[str, JobStatus] = field(default_factory=dict)  # by token
    queries: Counter[str] = field(default_factory=Counter)  # calls of the scheduler's commands
    submission: SubmissionPlan = NO_SUBMISSION  # what can be handed over since the last poll
    brought: bool = False  # whether the work tree holds what retries have committed
    polled: bool = False  # whether the scheduler was asked
    changed: bool = False  # whether the last poll saw anything new
    news: dict[JobStateChanged | JobEnded, list[Attempt]] = field(default_factory=dict)  # what this poll saw, and of whom

    def __post_init__(self) -> None:
        self._endings = Endings(self.work)
        self._nap = 0.0  # seconds, before the next poll; none before the first
        self._unseen_before = math.inf  # as the poll before the last one had left it

    @property
    def experiment(self) -> str:
        """Its name."""
        return self.context.summary.experiment.name

    @property
    def ended(self) -> dict[str, EndedAttempt]:
        """Attempts that are known to have ended, by token."""
        return self._endings.ended

    @property
    def damage(self) -> dict[str, str]:
        """What is wrong with the status of attempts that are gone, by token."""
        return self._endings.damage

    @property
    def open(self) -> list[Attempt]:
        """Attempts that are not known to have ended."""
        return [attempt for attempt in self.attempts if attempt.token not in self.ended]

    @property
    def awaited(self) -> list[Attempt]:
        """Open attempts whose end is waited for."""
        return [attempt for attempt in self.open if attempt.token in self.wanted]

    @property
    def grace(self) -> float:
        """Seconds that the file system may take to show what a job left."""
        return self.cluster.grace_seconds or self.scheduler.grace_seconds

    @property
    def unknown(self) -> list[JobStatus]:
        """What was last seen of open attempts that nothing can be said of."""
        return [self.statuses[attempt.token] for attempt in self.open if self._state(attempt) is JobState.UNKNOWN]

    @property
    def unseen(self) -> int:
        """How many open attempts were not handed over, as far as is known."""
        return sum(self._state(attempt) is JobState.UNSEEN for attempt in self.open)

    @property
    def poll_seconds(self) -> float:
        """Seconds between two looks, while something changes."""
        return self.cluster.poll_seconds or self.scheduler.poll_seconds

    def poll(self) -> None:
        """Ask once for all of them, and take note of what is new. What can be handed over now is `submission`'s; nothing is done of it."""
        before, self.changed = (self.unseen if self.polled else math.inf), False
        self._refresh()
        look = self.scheduler.poll(self.cluster, self.work, self.open) if self.open else PollResult({})
        self.queries.update(look.queries)
        statuses = {attempt.token: look.statuses.get(attempt.token, _NO_ANSWER) for attempt in self.open}
        unseen = [attempt for attempt in self.open if statuses[attempt.token].state is JobState.UNSEEN]
        queue = Queue(look, self.cluster.max_submit, self.detached, self.experiment)
        self.submission = plan_submission(unseen, queue, broken(self.work, self._unchanged(unseen), self.jobs))
        due = {attempt.token for attempt in self.submission.attempts}
        self._note_all({token: status for token, status in {**statuses, **self.submission.others}.items() if token not in due})
        self.polled, self._unseen_before = True, before
        if not due:
            self._end_look()

    def hand_over(self) -> None:
        """Submit what can be submitted, which is known since the poll."""
        planned, self.submission = self.submission, NO_SUBMISSION
        own(self.work, self.first, planned.attempts, self.experiment)
        submissions = [submission_of(self.work, self.jobs[attempt.job], attempt) for attempt in planned.attempts]
        self._note_all(planned.answered(self.scheduler.submit(self.cluster, self.work, submissions)))
        self._end_look()

    def _unchanged(self, attempts: Sequence[Attempt]) -> list[Attempt]:
        """Those whose files are as they were scaffolded, or were brought to what a retry has committed."""
        return [attempt for attempt in attempts if self.brought or attempt.number == 1]

    def _end_look(self) -> None:
        slower = min(self._nap * _SLOWER, self.poll_seconds * _SLOWEST)
        self._nap = self.poll_seconds if self.changed or not self._nap else slower
        self._tell()

    def _refresh(self) -> None:
        try:
            self.cluster = self.refresh()
        except CkgitError as error:
            self.events.emit(Noted(experiment=self.experiment, text=f"{error.where}: {error.what}; the cluster profile stays as it was"))

    @property
    def nap(self) -> float:
        """Seconds before the next poll: longer where nothing changes, shorter where a file system has to show what a job left."""
        shown = self.grace / _SETTLING
        return min(self._nap, shown) if self.settling else self._nap

    @property
    def staggering(self) -> bool:
        """Whether the scheduler takes some of many at a time, and has taken some since the poll before."""
        return bool(self.cluster.stagger_seconds) and 0 < self.unseen < self._unseen_before

    def tell_progress(self) -> None:
        """Tell how far the running jobs are, where anybody listens to that."""
        if self.events.progress:
            seen = {token: job_status.state for token, job_status in self.statuses.items()}
            self.events.emit(Progressed(experiment=self.experiment, progress=self.meter.whole(seen, self.ended)))

    @property
    def settling(self) -> bool:
        """Whether a job has just gone, of which a file system may still have to show what it left."""
        return any(self._state(attempt) is JobState.GONE for attempt in self.open)

    def _state(self, attempt: Attempt) -> JobState | None:
        status = self.statuses.get(attempt.token)
        return status.state if status else None

    def _note_all(self, statuses: Mapping[str, JobStatus]) -> None:
        for attempt in self.open:
            if status := statuses.get(attempt.token):
                self._note(attempt, self._endings.settle(attempt, status, self.grace) if status.state is JobState.GONE else status)

    def _note(self, attempt: Attempt, job_status: JobStatus) -> None:
        """Say what is new of a job."""
        before = self.statuses.get(attempt.token)
        self.statuses[attempt.token] = job_status
        # that SLURM expects a later start is no news
        self.changed |= before is None or before.state is not job_status.state or attempt.token in self.ended
        if attempt.token in self.ended:
            self.news.setdefault(_ending(self.experiment, self.ended[attempt.token]), []).append(attempt)
        elif (before is None or before.state is not job_status.state) and job_status.state is not JobState.GONE:
            changed = JobStateChanged(experiment=self.experiment, jobs=(), seen=job_status.state, detail=job_status.detail)
            self.news.setdefault(changed, []).append(attempt)

    def _tell(self) -> None:
        """Tell the news, and what is open."""
        for event, attempts in self.news.items():
            seconds = tuple(self.ended[each.token].seconds for each in attempts) if isinstance(event, JobEnded) else ()
            jobs = {"jobs": tuple(each.job for each in attempts)}
            self.events.emit(event.model_copy(update={**jobs, "seconds": seconds} if seconds else jobs))
        self.news.clear()
        self.events.emit(Polled(experiment=self.experiment, open=self.open_by_state(), ended=len(self.ended)))

    def open_by_state(self) -> dict[str, int]:
        """How many attempts are open, by where they stand as far as was seen."""
        seen = {token: job_status.state for token, job_status in self.statuses.items()}
        conditions = Counter(str(classify(attempt, seen=seen.get(attempt.token, ""))) for attempt in self.open)
        return dict(sorted(conditions.items()))

    def count(self) -> str:
        """How many jobs are open, by what was last seen of them."""
        return ", ".join(f"{number} {state}" for state, number in self.open_by_state().items()) or "none open"


_NO_ANSWER = JobStatus(JobState.UNKNOWN, detail="the scheduler did not answer for it")


def _ending(experiment: str, ended: EndedAttempt) -> JobEnded:
    if ended.status:
        return JobEnded(experiment=experiment, jobs=(), exit_code=ended.status.exit_code)
    return JobEnded(experiment=experiment, jobs=(), failure=ended.failure, reason=ended.reason)
