"""Following jobs: ask for them, notice what changed and what ended, and hand over what is not out yet.

Whatever cannot be told now is waited for: an unknown job is neither done nor failed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckgit.experiment.jobs import Attempt, Job
from ckgit.experiment.outputs.events import Progressed
from ckgit.experiment.scheduler import JobState, JobStatus
from ckgit.jobs.ownership import own
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.run.monitor.endings import Endings
from ckgit.orchestrators.run.monitor.news import JobNews
from ckgit.orchestrators.run.monitor.poller import Poller
from ckgit.orchestrators.run.monitor.progress import ProgressMeter
from ckgit.orchestrators.run.monitor.seen import JobsSeen
from ckgit.orchestrators.run.monitor.submission import NO_SUBMISSION, Queue, broken, plan_submission, submission_of

_NO_ANSWER = JobStatus(JobState.UNKNOWN, detail="the scheduler did not answer for it")


class FollowedJobs(NamedTuple):
    """The open attempts of an experiment in one work tree, as its ledger has them."""

    experiment: str
    jobs: Mapping[str, Job]  # by name
    attempts: Sequence[Attempt]
    wanted: frozenset[str]  # tokens of those whose end is waited for
    first: str  # token of the first attempt of the ledger, which owns the work tree
    detached: int  # 1 where a job of ours may be in the queue that goes on with the experiment


class Monitor:
    """Follows jobs, and remembers what was last seen of them."""

    def __init__(self, followed: FollowedJobs, poller: Poller, meter: ProgressMeter, events: Events) -> None:
        self.followed, self.poller = followed, poller
        self.endings = Endings(poller.work)
        self.polled = False  # whether the scheduler was asked
        self.brought = False  # whether the work tree holds what retries have committed
        self._meter, self._events = meter, events
        self._news = JobNews(followed.experiment, events)
        self._statuses: dict[str, JobStatus] = {}  # by token
        self._submission = NO_SUBMISSION  # what can be handed over since the last poll
        self._unseen_before = math.inf  # as the poll before the last one had left it
        self._polls = 0  # since something was known of each job

    @property
    def open(self) -> list[Attempt]:
        """Attempts that are not known to have ended."""
        return [attempt for attempt in self.followed.attempts if attempt.token not in self.endings.ended]

    def seen(self) -> JobsSeen:
        """What is known of them now."""
        poller, open_ones = self.poller, self.open
        return JobsSeen(
            open=open_ones,
            awaited=[attempt for attempt in open_ones if attempt.token in self.followed.wanted],
            statuses=dict(self._statuses),
            submission=self._submission,
            unseen_before=self._unseen_before if poller.cluster.stagger_seconds else 0,
            rest=poller.rest,
            poll_seconds=poller.seconds,
            grace=poller.grace,
            polls=self._polls,
        )

    def poll(self) -> None:
        """Ask once for all of them, and take note of what is new. What can be handed over now is seen, too; nothing is done of it."""
        unseen_before = self.seen().unseen if self.polled else math.inf
        if self.followed.attempts:
            self._look()
        self.polled, self._unseen_before = True, unseen_before
        self._polls = self._polls + 1 if self.seen().unknown else 0

    def _look(self) -> None:
        attempts, jobs = self.open, self.followed.jobs
        look = self.poller.poll(attempts)
        statuses = {attempt.token: look.statuses.get(attempt.token, _NO_ANSWER) for attempt in attempts}
        unseen = [attempt for attempt in attempts if statuses[attempt.token].state is JobState.UNSEEN]
        queue = Queue(look, self.poller.cluster.max_submit, self.followed.detached, self.followed.experiment)
        self._submission = plan_submission(unseen, queue, broken(self.poller.work, self._unchanged(unseen), jobs))
        due = {attempt.token for attempt in self._submission.attempts}
        self._note({token: status for token, status in {**statuses, **self._submission.others}.items() if token not in due})
        if not due:
            self._end_look()

    def hand_over(self) -> None:
        """Submit what can be submitted, which is known since the poll."""
        planned, self._submission = self._submission, NO_SUBMISSION
        work, followed = self.poller.work, self.followed
        own(work, followed.first, planned.attempts, followed.experiment)
        submissions = [submission_of(work, followed.jobs[attempt.job], attempt) for attempt in planned.attempts]
        self._note(planned.answered(self.poller.hand_over(submissions)))
        self._end_look()

    def tell_progress(self) -> None:
        """Tell how far the running jobs are, where anybody listens to that."""
        if self._events.progress:
            states = {token: job_status.state for token, job_status in self._statuses.items()}
            progress = self._meter.whole(states, self.endings.ended)
            self._events.emit(Progressed(experiment=self.followed.experiment, progress=progress))

    def _unchanged(self, attempts: Sequence[Attempt]) -> list[Attempt]:
        """Those whose files are as they were scaffolded, or were brought to what a retry has committed."""
        return [attempt for attempt in attempts if self.brought or attempt.number == 1]

    def _note(self, statuses: Mapping[str, JobStatus]) -> None:
        """Take note of what the scheduler says of jobs, by token; those that it has no more may have ended."""
        for attempt in self.open:
            token = attempt.token
            if status := statuses.get(token):
                now = self.endings.settle(attempt, status, self.poller.grace) if status.state is JobState.GONE else status
                self._news.note(attempt, self._statuses.get(token), now, self.endings.ended.get(token))
                self._statuses[token] = now

    def _end_look(self) -> None:
        changed = self._news.tell(self.seen().by_state, len(self.endings.ended))
        self.poller.end_look(changed=changed)
