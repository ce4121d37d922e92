"""Running jobs again in a work tree of their own: handed over, followed and judged as those of an advance are. Nothing is committed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import Cluster, with_limits
from ckgit.experiment.jobs import Attempt, Job, Phase
from ckgit.experiment.outputs.events import Progressed
from ckgit.experiment.results import CellResult, TrainingResult
from ckgit.experiment.stage import Stage
from ckgit.formats.listing import first_of, plural
from ckgit.lab.lab import open_lab
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.review.reproduce.files import ScaffoldedFiles
from ckgit.orchestrators.review.reproduce.recorded import Chosen, RecordedJob
from ckgit.orchestrators.run.attempts import new_token
from ckgit.orchestrators.run.collect import EndedAttempt, JudgedAttempt, foreign_starts, judge
from ckgit.orchestrators.run.monitor.monitor import FollowedJobs, Monitor
from ckgit.orchestrators.run.monitor.poller import Poller
from ckgit.orchestrators.run.monitor.progress import ProgressMeter


class SecondExecution(NamedTuple):
    """What came of running a job again."""

    attempt: Attempt | None  # None: it was not handed over
    results: Sequence[TrainingResult | CellResult] = ()
    reason: str = ""  # why it failed, and there are no results, or not of each cell


class Follower:
    """Runs the jobs of one reproduction, and remembers what each has left."""

    def __init__(self, chosen: Chosen, files: ScaffoldedFiles, work: Path, events: Events) -> None:
        self._chosen, self._view, self._work, self._events = chosen, chosen.view, work, events
        self._attempts = {one.job.name: _attempt(self._view.name, one, files.scripts[one.job.name]) for one in chosen.jobs}
        self._left: dict[str, bytes] = {}  # what jobs have left, by path
        self.executions: dict[str, SecondExecution] = {}  # by job

    def run(self) -> Mapping[str, SecondExecution]:
        """Run all jobs: training first, then the evaluations of the runs whose training has counted again.

        Raises:
            CkgitError: INTERRUPTED, by the user, and the jobs were ended; or they cannot be handed over or followed.
        """
        for stage in Stage:
            jobs = [one for one in self._chosen.jobs if one.job.stage is stage]
            if due := [one for one in jobs if self._is_due(one)]:
                self._run(due)
        return self.executions

    def _is_due(self, recorded: RecordedJob) -> bool:
        """Whether a job can run: the training of its run is none of these, or has counted."""
        training = next((one for one in self._chosen.jobs if one.job.run == recorded.job.run and one.job.stage is Stage.TRAINING), None)
        if training in (None, recorded) or self.executions[training.job.name].results:
            return True
        self.executions[recorded.job.name] = SecondExecution(None, reason="it was not run, as the training of its run failed")
        return False

    def _run(self, jobs: Sequence[RecordedJob]) -> None:
        self._check_ready(jobs)
        attempts = [self._attempts[one.job.name] for one in jobs]
        monitor = self._monitor(jobs, attempts)
        try:
            _to_end(monitor)
        except BaseException as error:
            self._events.emit(Progressed(experiment=self._view.name))
            self._end(monitor.open, interrupted=isinstance(error, KeyboardInterrupt))
            raise
        self._events.emit(Progressed(experiment=self._view.name))
        for one in jobs:
            self.executions[one.job.name] = self._judged(one, monitor.endings.ended[self._attempts[one.job.name].token])

    def _check_ready(self, jobs: Sequence[RecordedJob]) -> None:
        context = self._view.context
        if reasons := [f"{one.job.name}: {why}" for one in jobs for why in one.worker.ready(context, one.job, self._work)]:
            raise CkgitError(
                "\n  ".join(["these jobs cannot start:", *first_of(reasons, more="more reasons")]),
                code=Exit.EVIDENCE_MISSING,
                where=str(self._work),
                state="none of them was handed over",
                next="mend this, then run the same command again",
            )

    def _monitor(self, jobs: Sequence[RecordedJob], attempts: Sequence[Attempt]) -> Monitor:
        view, tokens = self._view, [attempt.token for attempt in self._attempts.values()]
        workers = {one.job.stage: one.worker for one in self._chosen.jobs}
        others = [job.name for worker in workers.values() for job in worker.jobs(view.context) if job.name not in self._attempts]
        meter = ProgressMeter(workers, view.context, self._work, list(self._attempts.values()), others, None)
        wanted = frozenset(attempt.token for attempt in attempts)
        followed = FollowedJobs(view.name, {one.job.name: one.job for one in jobs}, attempts, wanted, tokens[0], 0)
        poller = Poller(view.name, self._work, view.context.cluster, self._refreshed, self._events, {})
        return Monitor(followed, poller, meter, self._events)

    def _refreshed(self) -> Cluster:
        context = self._view.context
        clusters = open_lab(self._view.lab.root).config.clusters
        return with_limits(context.cluster, clusters.get(context.cluster_name, context.cluster))

    def _end(self, attempts: Sequence[Attempt], *, interrupted: bool) -> None:
        """End what runs: nobody comes back to it.

        Raises:
            CkgitError: INTERRUPTED, where that is why, and what became of the jobs.
        """
        cluster, state = self._view.context.cluster, f"{plural(len(attempts), 'job')} of it ended, and nothing was recorded"
        try:
            scheduler_for(cluster).cancel(cluster, self._work, attempts)
        except CkgitError as error:
            names = ", ".join(attempt.token for attempt in attempts)
            state = f"nothing was recorded; these jobs could not be ended ({error.what}): {names}"
        if interrupted:
            again = f"ckgit reproduce {self._view.name} begins anew, in another folder"
            raise CkgitError("interrupted", code=Exit.INTERRUPTED, where=str(self._work), state=state, next=again) from None

    def _judged(self, recorded: RecordedJob, ended: EndedAttempt) -> SecondExecution:
        view, job = self._view, recorded.job
        foreign = partial(_foreign, ended.attempt, job)
        limit = view.lab.config.max_log_bytes
        found = judge(recorded.worker, view.context, job, ended, self._work, limit=limit, taken=frozenset(), foreign=foreign)
        self._left |= found.files
        if found.attempt.phase is Phase.DONE:
            return SecondExecution(found.attempt, self._read(recorded, found))
        counts = any(not why for why in found.attempt.cells.values())  # some of its cells, and others not
        left = self._read(recorded, found) if counts else ()
        return SecondExecution(found.attempt, left, f"{found.attempt.failure}: {found.attempt.reason}")

    def _read(self, recorded: RecordedJob, found: JudgedAttempt) -> Sequence[TrainingResult | CellResult]:
        folder = f"{self._view.context.run_folder(recorded.job.run)}/"
        left = {path: content for path, content in self._left.items() if path.startswith(folder)}
        return recorded.worker.results(self._view.context, recorded.job, found.attempt, left)


def _attempt(name: str, recorded: RecordedJob, script: bytes) -> Attempt:
    job = recorded.job
    return Attempt(
        job=job.name,
        stage=job.stage,
        number=1,
        resources=recorded.attempt.resources,
        token=new_token(name, f"reproduce/{job.name}", 1),
        script_sha256=hashlib.sha256(script).hexdigest(),
        phase=Phase.SUBMITTED,
        submitted=now(),
    )


def _to_end(monitor: Monitor) -> None:
    """Hand over what can be, and wait for the others, until all have ended."""
    while True:
        monitor.poll()
        if monitor.seen().submission.attempts:
            monitor.hand_over()
        seen = monitor.seen()
        if not seen.awaited:
            return
        monitor.tell_progress()
        time.sleep(seen.nap)


def _foreign(attempt: Attempt, job: Job, found: Sequence[TrainingResult | CellResult]) -> str:
    """Why results are not those of this very execution; empty where they are."""
    tokens = [result.token for result in found if isinstance(result, CellResult)]
    others = [token for token in tokens if token not in (None, attempt.token)]
    return f"its log was made by {others[0]}, and not by this job" if others else foreign_starts([attempt], job, found)
