"""Asking the scheduler for jobs, handing over to it, and how long it is left alone in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ckgit.errors import CkgitError
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.jobs import Attempt, Usage
from ckgit.experiment.outputs.events import Noted
from ckgit.experiment.scheduler import JobStatus, PollResult, Submission
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.plugins import scheduler_for

_SLOWER, _SLOWEST = 1.25, 3.0  # each rest in which nothing changed makes the next one longer, up to so many times the first


class Poller:
    """Whoever asks the scheduler of one cluster for the jobs of one work tree, and counts what that takes of its commands."""

    def __init__(
        self, experiment: str, work: Path, cluster: Cluster, refresh: Callable[[], Cluster], events: Events, asked: Mapping[str, int]
    ) -> None:
        """Ask for an experiment's jobs.

        Args:
            refresh: the cluster with its limits as they are now: they may change while jobs are waited for.
            asked: calls of the scheduler's commands that no commit tells of yet.
        """
        self.work, self.cluster = work, cluster
        self.queries = Counter(asked)
        self._scheduler = scheduler_for(self.cluster)
        self._experiment, self._refresh, self._events = experiment, refresh, events
        self.rest = 0.0  # seconds before the next poll; none before the first

    @property
    def seconds(self) -> float:
        """Between two polls, while something changes."""
        return self.cluster.poll_seconds or self._scheduler.poll_seconds

    @property
    def grace(self) -> float:
        """Seconds that the file system may take to show what a job left."""
        return self.cluster.grace_seconds or self._scheduler.grace_seconds

    def poll(self, attempts: Sequence[Attempt]) -> PollResult:
        """What the scheduler says of these; it is asked for nothing where there are none."""
        try:
            self.cluster = self._refresh()
        except CkgitError as error:
            text = f"{error.where}: {error.what}; the cluster profile stays as it was"
            self._events.emit(Noted(experiment=self._experiment, text=text))
        found = self._scheduler.poll(self.cluster, self.work, attempts) if attempts else PollResult({})
        self.queries.update(found.queries)
        return found

    def hand_over(self, submissions: Sequence[Submission]) -> Mapping[str, JobStatus]:
        """What the scheduler answers to them, by token."""
        return self._scheduler.submit(self.cluster, self.work, submissions)

    def usage(self, attempts: Sequence[Attempt]) -> Mapping[str, Usage]:
        """What its accounting says that these took, by token."""
        found = self._scheduler.usage(self.cluster, self.work, attempts)
        self.queries.update(found.queries)
        return found.usage

    def end_look(self, *, changed: bool) -> None:
        """A look is over; the rest before the next one is longer where nothing has changed."""
        slower = min(self.rest * _SLOWER, self.seconds * _SLOWEST)
        self.rest = self.seconds if changed or not self.rest else slower
