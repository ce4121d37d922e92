"""What is seen of the jobs that are out, at one moment: what the scheduler has said of each, and when it is to be asked again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckgit.experiment.classify import classify
from ckgit.experiment.jobs import Attempt
from ckgit.experiment.scheduler import JobState, JobStatus
from ckgit.orchestrators.run.monitor.submission import SubmissionPlan

_SETTLING = 4  # polls in the time that a file system may take


class JobsSeen(NamedTuple):
    """The open attempts, as the scheduler and what they left have told until now."""

    open: Sequence[Attempt]  # not known to have ended
    awaited: Sequence[Attempt]  # those of them whose end is waited for
    statuses: Mapping[str, JobStatus]  # by token, of all that the scheduler was asked for
    submission: SubmissionPlan  # what can be handed over now
    unseen_before: float  # how many were not handed over at the poll before; 0 where the scheduler takes many at once
    rest: float  # seconds before the next poll, as far as the scheduler is concerned
    poll_seconds: float  # between two polls, while something changes
    grace: float  # seconds that a file system may take to show what a job left
    polls: int  # since something was known of each

    def state(self, attempt: Attempt) -> JobState | None:
        """What was seen of an attempt; None where that is to come."""
        status = self.statuses.get(attempt.token)
        return status.state if status else None

    @property
    def unknown(self) -> list[JobStatus]:
        """Of those that nothing can be said of."""
        return [self.statuses[attempt.token] for attempt in self.open if self.state(attempt) is JobState.UNKNOWN]

    @property
    def unseen(self) -> int:
        """How many were not handed over, as far as is known."""
        return sum(self.state(attempt) is JobState.UNSEEN for attempt in self.open)

    @property
    def settling(self) -> bool:
        """Whether a job has just gone, of which a file system may still have to show what it left."""
        return any(self.state(attempt) is JobState.GONE for attempt in self.open)

    @property
    def staggering(self) -> bool:
        """Whether the scheduler takes some of many at a time, and has taken some since the poll before."""
        return 0 < self.unseen < self.unseen_before

    @property
    def nap(self) -> float:
        """Seconds before the next poll: fewer where a file system has to show what a job left."""
        return min(self.rest, self.grace / _SETTLING) if self.settling else self.rest

    @property
    def by_state(self) -> dict[str, int]:
        """How many are open, by where they stand as far as was seen."""
        return dict(sorted(Counter(str(classify(attempt, seen=self.state(attempt) or "")) for attempt in self.open).items()))

    @property
    def in_words(self) -> str:
        """The same in words, e.g. `2 queued, 1 running`."""
        return ", ".join(f"{number} {state}" for state, number in self.by_state.items()) or "none open"
