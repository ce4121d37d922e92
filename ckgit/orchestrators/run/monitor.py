"""Waiting for jobs: hand over what was not, look, say what changed, notice what ended.

Whatever cannot be told now is waited for: an unknown job is neither done nor failed.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ckgit.errors import CkgitError
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.model import Stage
from ckgit.experiment.events import JobEnded, JobProgress, JobStateChanged, Noted, Polled, Progressed
from ckgit.experiment.jobs import Attempt, FailureClass, Job, Progress, task_of
from ckgit.experiment.scheduler import JobEnding, JobState, JobStatus, PollResult, Scheduler, Submission
from ckgit.experiment.worker import Context, Worker
from ckgit.jobs.folder import job_folder, read_status
from ckgit.jobs.ownership import own
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.logs import tail
from ckgit.orchestrators.engine.polling import Polling
from ckgit.orchestrators.run.collect import EndedAttempt, without_status

_SLOWER, _SLOWEST = 1.25, 3.0  # each nap in which nothing changed makes the next one longer, up to so many times the first
_SETTLING = 4  # looks in the time that a file system may take


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
    detached: int = 0  # 1 where a job of ours may be in the queue that goes on with the experiment
    ended: dict[str, EndedAttempt] = field(default_factory=dict)  # by token
    statuses: dict[str, JobStatus] = field(default_factory=dict)  # by token
    queries: Counter[str] = field(default_factory=Counter)  # calls of the scheduler's commands
    gone_since: dict[str, float] = field(default_factory=dict)
    unreadable_since: dict[str, float] = field(default_factory=dict)
    running_since: dict[str, float] = field(default_factory=dict)
    paces: dict[str, Pace] = field(default_factory=dict)  # by token
    changed: bool = False  # whether the last look saw anything new
    news: dict[JobStateChanged | JobEnded, list[str]] = field(default_factory=dict)  # what this look saw, with the jobs that it is of

    @property
    def experiment(self) -> str:
        """Its name."""
        return self.context.summary.experiment.name

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
        return [self.statuses[attempt.token] for attempt in self.open if self.statuses[attempt.token].state is JobState.UNKNOWN]

    @property
    def unseen(self) -> int:
        """How many open attempts were not handed over at the last look."""
        return sum(self.statuses[attempt.token].state is JobState.UNSEEN for attempt in self.open)

    @property
    def poll_seconds(self) -> float:
        """Seconds between two looks, while something changes."""
        return self.cluster.poll_seconds or self.scheduler.poll_seconds

    def look(self) -> None:
        """One poll: hand over what is certainly not with the scheduler, and take note of what ended."""
        self.changed = False
        self._refresh()
        look = self.scheduler.poll(self.cluster, self.work, self.open) if self.open else PollResult({})
        self.queries.update(look.queries)
        statuses = {attempt.token: look.statuses.get(attempt.token, _NO_ANSWER) for attempt in self.open}
        statuses |= self._hand_over([attempt for attempt in self.open if statuses[attempt.token].state is JobState.UNSEEN], look)
        for attempt in self.open:
            job_status = statuses[attempt.token]
            self._note(attempt, self._settle(attempt, job_status) if job_status.state is JobState.GONE else job_status)
        self._tell()

    def _refresh(self) -> None:
        try:
            self.cluster = self.refresh()
        except CkgitError as error:
            self.events.emit(Noted(experiment=self.experiment, text=f"{error.where}: {error.what}; the cluster profile stays as it was"))

    def wait(self, pause: Callable[[], bool]) -> Polling[None]:
        """Look until all that are wanted have ended, or until `pause`, asked after each look, says that something is to be done."""
        nap = self.poll_seconds
        while True:
            self.look()
            self._tell_progress()
            if not self.awaited or pause():
                return
            nap = self.poll_seconds if self.changed else min(nap * _SLOWER, self.poll_seconds * _SLOWEST)
            yield min(nap, self.grace / _SETTLING) if self._settling else nap

    def look_thoroughly(self) -> Polling[None]:
        """Look, until no more can be handed over, and where a job has just gone, for as long as its status may take to show."""
        self.look()
        while self.cluster.stagger_seconds and (before := self.unseen):  # a look hands over some of many
            self.look()
            if self.unseen >= before:
                break
        while self._settling:
            yield min(self.poll_seconds, self.grace / _SETTLING)
            self.look()

    @property
    def _settling(self) -> bool:
        return any(self.statuses[attempt.token].state is JobState.GONE for attempt in self.open)

    def _hand_over(self, attempts: Sequence[Attempt], look: PollResult) -> dict[str, JobStatus]:
        """Submit as many as the cluster takes; the others wait for their turn. An array goes whole, as one sbatch is one record.

        One that is larger than the limit, which was lowered since, goes when there is nothing else to wait for.
        """
        limit = self.cluster.max_submit
        room = len(attempts) if limit is None else max(limit - look.in_queue, 0)
        answers: dict[str, JobStatus] = {}
        submissions: list[Submission] = []
        handed: list[Attempt] = []
        large: list[str] = []
        for group in groups(attempts):
            broken = {attempt.token: why for attempt in group if (why := self._broken(attempt))}
            too_large = limit is not None and limit < len(group)
            if broken:
                refused = next(iter(broken.values()))
                answers |= {attempt.token: JobStatus(JobState.GONE, ending=JobEnding(FailureClass.REFUSED, refused)) for attempt in group}
            elif len(group) <= room or (too_large and look.in_queue <= self.detached and not submissions):
                room -= len(group)
                submissions += [submission_of(self.work, self.jobs[attempt.job], attempt) for attempt in group]
                handed += group
                large += [attempt.token for attempt in group if too_large]
            else:
                waits = JobStatus(JobState.UNSEEN, detail=self._waits_for(len(group), look))
                answers |= {attempt.token: waits for attempt in group}
        if submissions:
            own(self.work, self.first, handed, self.context.summary.experiment.name)
            answers |= self.scheduler.submit(self.cluster, self.work, submissions)
        for token in large:
            if answers[token].state is JobState.QUEUED:
                answers[token] = answers[token]._replace(detail=f"its array is one submission, of more jobs than max_submit, {limit}")
        return answers

    def _waits_for(self, tasks: int, look: PollResult) -> str:
        """Why a job, or an array of so many, is not handed over now."""
        limit = self.cluster.max_submit or 0
        full = f"{look.in_queue} jobs are in the queue, and max_submit is {limit}"
        if tasks == 1:
            return full
        mine = sum(job_status.state in {JobState.QUEUED, JobState.RUNNING} for job_status in look.statuses.values())
        others = look.in_queue - mine
        until = "until no other job is there" if limit < tasks else f"until there is room for {tasks}"
        text = f"its array of {tasks} waits {until}: {full}"
        if limit - others >= tasks or not others:
            return text
        name = self.context.summary.experiment.name
        way_out = f"if they stay, ckgit cancel {name} and ckgit retry {name} make its tasks jobs of their own"
        return f"{text}; {others} of them are not jobs of {name}: {way_out}"

    def _broken(self, attempt: Attempt) -> str:
        """Why a job must not be handed over: the bytes that were committed as the intent are those that run."""
        path = self.work / self.jobs[attempt.job].script
        try:
            same = hashlib.sha256(path.read_bytes()).hexdigest() == attempt.script_sha256
        except OSError as error:
            return f"the job's script cannot be read: {error.strerror}"
        return "" if same else "the job's script in the work tree is not the one that was scaffolded"

    def _settle(self, attempt: Attempt, gone: JobStatus) -> JobStatus:
        """A job that is gone has ended when its status says so, or when that has not come in time; one that cannot be read is unknown."""
        token, now = attempt.token, time.monotonic()
        status, damage = None, ""
        if gone.ending and gone.ending.failure is FailureClass.REFUSED:
            self.ended[token] = EndedAttempt(attempt, None, gone.ending.sentence, FailureClass.REFUSED)
            return gone
        try:
            status = read_status(self.work, token)
        except ValueError as error:
            damage = str(error)
        except OSError as error:
            self.gone_since.pop(token, None)  # what shows once it can be read again has its time to settle, too
            late = now - self.unreadable_since.setdefault(token, now) >= self.grace
            return JobStatus(JobState.UNKNOWN, gone.job_id, f"{token}: its status cannot be read: {error.strerror}") if late else gone
        self.unreadable_since.pop(token, None)
        if not _told(gone) and (job_folder(self.work, token) / "cancelled").exists():
            gone = gone._replace(ending=JobEnding(FailureClass.CANCELLED, "cancelled by ckgit cancel"))  # which could not record it
        if status:
            self.ended[token] = EndedAttempt(attempt, status, job_id=gone.job_id, ending=gone.ending)
        elif now - self.gone_since.setdefault(token, now) >= self.grace:
            failure, reason = (FailureClass.LOST, damage) if damage and not _told(gone) else without_status(self.work, token, gone.ending)
            self.ended[token] = EndedAttempt(attempt, None, reason, failure, job_id=gone.job_id, ending=gone.ending)
        return gone

    def _note(self, attempt: Attempt, job_status: JobStatus) -> None:
        """Say what is new of a job."""
        before = self.statuses.get(attempt.token)
        self.statuses[attempt.token] = job_status
        # that SLURM expects a later start is no news
        self.changed |= before is None or before.state is not job_status.state or attempt.token in self.ended
        if job_status.state is JobState.RUNNING:
            self.running_since.setdefault(attempt.token, _claimed(self.work, attempt.token))
        if attempt.token in self.ended:
            self.news.setdefault(_ending(self.experiment, self.ended[attempt.token]), []).append(attempt.job)
        elif (before is None or before.state is not job_status.state) and job_status.state is not JobState.GONE:
            changed = JobStateChanged(experiment=self.experiment, jobs=(), state=job_status.state, detail=job_status.detail)
            self.news.setdefault(changed, []).append(attempt.job)

    def _tell(self) -> None:
        """Tell the news, and what is open."""
        for event, jobs in self.news.items():
            self.events.emit(event.model_copy(update={"jobs": tuple(jobs)}))
        self.news.clear()
        self.events.emit(Polled(experiment=self.experiment, open=self._open_by_state(), ended=len(self.ended)))

    def _tell_progress(self) -> None:
        if self.events.progress:
            running = [attempt for attempt in self.open if self.statuses[attempt.token].state is JobState.RUNNING]
            self.events.emit(Progressed(experiment=self.experiment, jobs=tuple(map(self.progress, running))))

    def _open_by_state(self) -> dict[str, int]:
        states = Counter(str(self.statuses[a.token].state) if a.token in self.statuses else "not looked at" for a in self.open)
        return dict(sorted(states.items()))

    def count(self) -> str:
        """How many jobs are open, by what was last seen of them."""
        return ", ".join(f"{number} {state}" for state, number in self._open_by_state().items()) or "none open"

    def progress(self, attempt: Attempt) -> JobProgress:
        """How far a running job is."""
        output = tail(job_folder(self.work, attempt.token) / "output")
        job = self.jobs[attempt.job]
        found = self.workers[job.stage].progress(self.context, job, self.work, output)
        elapsed = max(0.0, time.time() - self.running_since.get(attempt.token, time.time()))
        if found is None or not found.steps:
            return JobProgress(job=job.name, elapsed=elapsed)
        left = self.paces.setdefault(attempt.token, Pace()).left(found, time.monotonic())
        return JobProgress(
            job=job.name, elapsed=elapsed, step=found.step, steps=found.steps, loss=found.loss, seconds_left=left, note=found.note
        )


_NO_ANSWER = JobStatus(JobState.UNKNOWN, detail="the scheduler did not answer for it")


def groups(attempts: Sequence[Attempt]) -> list[list[Attempt]]:
    """Attempts that are to be handed over together: the tasks of one array, or one alone."""
    found: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        found.setdefault(task.array if (task := task_of(attempt.token)) else attempt.token, []).append(attempt)
    return list(found.values())


def submission_of(work: Path, job: Job, attempt: Attempt) -> Submission:
    """How a scheduler is to be given an attempt."""
    output = (job_folder(work, attempt.token) / "output").relative_to(work)
    return Submission(attempt.token, job.script, str(output), attempt.resources or job.resources, changed=attempt.resources is not None)


def _claimed(work: Path, token: str) -> float:
    try:
        return (job_folder(work, token) / "claim").stat().st_mtime
    except OSError:
        return time.time()


def _told(gone: JobStatus) -> bool:
    """Whether the scheduler says why a job ended."""
    return bool(gone.ending and gone.ending.failure)


def _ending(experiment: str, ended: EndedAttempt) -> JobEnded:
    if ended.status:
        return JobEnded(experiment=experiment, jobs=(), exit_code=ended.status.exit_code)
    return JobEnded(experiment=experiment, jobs=(), failure=ended.failure, reason=ended.reason)
