"""Looking at a stage: the branch, the work tree, the scheduler and what jobs left. All reading is here; what follows is `plan`'s."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import Cluster, with_limits
from ckgit.experiment.jobs import Job, Ledger, Usage
from ckgit.experiment.outputs.events import Waiting
from ckgit.experiment.results import CellResult, TrainingResult
from ckgit.experiment.scheduler import JobStatus
from ckgit.experiment.stage import Stage
from ckgit.experiment.worker import Worker
from ckgit.jobs.folder import refuse_unwritable
from ckgit.lab.lab import open_lab
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.orphans import refuse_orphans
from ckgit.orchestrators.engine.profile import check_profile
from ckgit.orchestrators.run.attempts import count_jobs
from ckgit.orchestrators.run.collect import JudgedAttempt, foreign_starts, judge
from ckgit.orchestrators.run.commits import NOTHING, Collected
from ckgit.orchestrators.run.continuation.job import look_at
from ckgit.orchestrators.run.monitor.monitor import FollowedJobs, Monitor
from ckgit.orchestrators.run.monitor.poller import Poller
from ckgit.orchestrators.run.monitor.progress import ProgressMeter
from ckgit.orchestrators.run.observation import ContinuationSeen, StageObservation
from ckgit.orchestrators.run.stage import StageJobs, check_ready, due_jobs, refuse_misled, retrained, stage_jobs
from ckgit.orchestrators.run.usage import lacking
from ckgit.orchestrators.run.work_tree import find_work_tree, planned_ledger
from ckgit.orchestrators.scaffold.rerender import rendered_anew


class StageObserver:
    """Looks at a stage from one commit of its branch, as often as it is asked; each job that ended is judged once."""

    def __init__(self, view: ExperimentView, options: AdvanceOptions, events: Events, asked: Mapping[str, int] = {}) -> None:
        self.view, self.options, self.events, self._asked = view, options, events, asked
        self.work = stage_jobs(view)
        self.monitor: Monitor | None = None
        self._continuation: ContinuationSeen | None = None
        self._judged: dict[str, JudgedAttempt] = {}  # by token
        self._usage: dict[str, Usage] = {}  # by token
        self._rendered: dict[str, bool] = {}  # by job: whether its script would be another one now

    def observe(self) -> StageObservation:
        """What is seen now.

        Raises:
            CkgitError: the cluster profile points elsewhere than to where jobs are out.
        """
        view, work = self.view, self.work
        if not work.worker or not work.jobs:
            return StageObservation(view, work)
        refuse_misled(view)
        if not view.ledger or not view.ledger.work_tree:
            check_profile(view)  # it says where the work tree is to be
        collected = self._collect()
        tree = planned_ledger(view)
        due = due_jobs(view, work, self.options, collected.enter(tree).attempts)
        against = self._against(due, collected.enter(tree))
        outdated = bool(due) and not against and self._outdated(due[0])
        jobs = self.monitor.seen() if self.monitor and self.monitor.polled else None
        return StageObservation(view, work, tree, against, outdated, jobs, collected, self._continuation)

    def _outdated(self, job: Job) -> bool:
        """Whether a job's script would be another one now. One tells of all: a profile's lines are in each."""
        if job.name not in self._rendered:
            self._rendered[job.name] = bool(rendered_anew(self.view, self.work.workers, [job], {}, {}).files)
        return self._rendered[job.name]

    def _against(self, due: Sequence[Job], ledger: Ledger) -> CkgitError | None:
        """Why the jobs that are due must not be handed over."""
        try:
            if due:
                check_profile(self.view)
                listed = ledger if self.monitor else self.view.ledger
                tree = listed.work_tree if listed else ""
                refuse_orphans(self.view.lab, self.view.name, frozenset(listed.tokens if listed else ()), tree)
                if self.view.ledger and self.view.ledger.work_tree:
                    refuse_unwritable(work := find_work_tree(ledger))
                    check_ready(self.view, self.work, due, work)
        except CkgitError as error:
            return error
        return None

    def look_at_continuation(self) -> None:
        """Ask the scheduler for the job that is to go on."""
        detached, poller = self.view.ledger and self.view.ledger.detached, self.open().poller
        if not detached:
            return
        found = look_at(detached, poller.cluster, poller.work)
        poller.queries.update(found.queries)
        self.note_continuation(found.statuses[detached.token])

    def note_continuation(self, status: JobStatus, *, answered: bool = False) -> None:
        """Take note of what the scheduler says of the job that is to go on; news are told while it is waited for."""
        before = self._continuation
        if (before.status.detail if before else "") != status.detail and not status.job_id:
            self.events.emit(Waiting(experiment=self.view.name, what=f"the job that is to go on: {status.detail or status.state}"))
        self._continuation = ContinuationSeen(status, (before.polls if before else 0) + (not answered), answered)

    def note_secured(self) -> None:
        """Take note that the job that is to go on has a stand-in."""
        self._continuation = self._continuation and self._continuation._replace(secured=True)

    def open(self) -> Monitor:
        """The open attempts, from the first time on that the scheduler is to be asked.

        Raises:
            CkgitError: no job was ever submitted, or where they run cannot be seen from here.
        """
        self.monitor = self.monitor or open_monitor(self.view, self.work, self.options.run, self.events, self._asked)
        return self.monitor

    def _collect(self) -> Collected:
        """What the jobs that ended left, each judged once."""
        monitor, view = self.monitor, self.view
        if not monitor:
            return NOTHING
        poller, work = monitor.poller, monitor.poller.work
        new = [ended for token, ended in monitor.endings.ended.items() if token not in self._judged]
        if new and view.ledger:
            late = lacking(view.attempts)  # accounting comes some seconds after the end
            self._usage |= poller.usage([*(ended.attempt for ended in new), *late])
            limit = view.lab.config.max_log_bytes
            taken = frozenset(attempt.log for attempt in view.attempts if attempt.log)
            for ended in new:
                job, token = monitor.followed.jobs[ended.attempt.job], ended.attempt.token
                known = ended._replace(usage=self._usage.get(token))
                worker, foreign = self.work.workers[job.stage], partial(self._foreign, job)
                self._judged[token] = judge(worker, view.context, job, known, work, limit=limit, taken=taken, foreign=foreign)
        ids = {token: job_status.job_id for token, job_status in monitor.seen().statuses.items() if job_status.job_id}
        return Collected(list(self._judged.values()), ids, dict(poller.queries), self._usage)

    def _foreign(self, job: Job, found: Sequence[TrainingResult | CellResult]) -> str:
        """Why what a job left is not this experiment's; empty where it is."""
        other = retrained(self.view, [job], Path(self.view.ledger.work_tree)) if self.view.ledger else {}
        return other.get(job.run) or foreign_starts(self.view.attempts, job, found)


def open_monitor(view: ExperimentView, work: StageJobs, run: str | None, events: Events, asked: Mapping[str, int] = {}) -> Monitor:
    """The open attempts of an experiment, in its work tree; those of the stage that comes next are waited for.

    Args:
        asked: calls of the scheduler's commands that no commit tells of yet.
    """
    if not view.ledger or not work.worker:
        raise CkgitError(f"no job of {view.name} was ever submitted", code=Exit.ILLEGAL_TRANSITION, next=f"ckgit advance {view.name}")
    refuse_misled(view)
    cluster, attempts = view.context.cluster, view.attempts
    tree = find_work_tree(view.ledger)

    def refresh() -> Cluster:
        return with_limits(cluster, open_lab(view.lab.root).config.clusters.get(view.context.cluster_name, cluster))

    followed = FollowedJobs(
        experiment=view.name,
        jobs={job.name: job for job in work.all},
        attempts=count_jobs(attempts, work.all).open,
        wanted=frozenset(attempt.token for attempt in count_jobs(attempts, work.selected(run)).open),
        first=attempts[0].token if attempts else "",
        detached=int(view.ledger.detached is not None),
    )
    poller = Poller(view.name, tree, cluster, refresh, events, asked)
    return Monitor(followed, poller, progress_meter(view, work.workers, tree), events)


def progress_meter(view: ExperimentView, workers: Mapping[Stage, Worker], tree: Path, *, once: bool = False) -> ProgressMeter:
    """Measures an experiment whose jobs run in a work tree. An estimate that cannot be read is none."""
    estimate = None
    with contextlib.suppress(CkgitError):
        estimate = view.snapshot.estimate()
    accepted = view.ledger.accepted_missing if view.ledger else ()
    return ProgressMeter(workers, view.context, tree, view.attempts, accepted, estimate, once=once)
