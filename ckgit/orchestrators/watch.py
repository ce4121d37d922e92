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

from ckgit.experiment.errors import CkgitError, Exit
from ckgit.experiment.jobs import Attempt, FailureClass, Job
from ckgit.experiment.worker import Context, Scheduler, Seen, Sighting, Submission, Worker
from ckgit.orchestrators.collect import Ended, job_files, read_status
from ckgit.orchestrators.logs import tail
from ckgit.orchestrators.talk import Talk

GRACE = 2.0  # seconds that a file system may take to show the status of a job that is gone


@dataclass
class Watch:
    """The open attempts of a stage in one work tree, and what was last seen of them."""

    worker: Worker
    context: Context
    scheduler: Scheduler
    work: Path
    jobs: Mapping[str, Job]  # by name
    attempts: Sequence[Attempt]
    wanted: frozenset[str]  # tokens of those whose end is waited for
    talk: Talk
    ended: dict[str, Ended] = field(default_factory=dict)  # by token
    seen: dict[str, Sighting] = field(default_factory=dict)  # by token
    gone_since: dict[str, float] = field(default_factory=dict)
    unreadable_since: dict[str, float] = field(default_factory=dict)
    running_since: dict[str, float] = field(default_factory=dict)

    @property
    def open(self) -> list[Attempt]:
        """Attempts that are not known to have ended."""
        return [attempt for attempt in self.attempts if attempt.token not in self.ended]

    @property
    def awaited(self) -> list[Attempt]:
        """Open attempts whose end is waited for."""
        return [attempt for attempt in self.open if attempt.token in self.wanted]

    def look(self) -> None:
        """One poll: hand over what is certainly not with the scheduler, and take note of what ended."""
        tokens = [attempt.token for attempt in self.open]
        sightings = self.scheduler.poll(self.context.cluster, self.work, tokens) if tokens else {}
        for attempt in self.open:
            sighting = sightings.get(attempt.token, Sighting(Seen.UNKNOWN, detail="the scheduler did not answer for it"))
            if sighting.seen is Seen.UNSEEN:
                sighting = self._hand_over(attempt)
            if sighting.seen is Seen.GONE:
                sighting = self._settle(attempt, sighting)
            self._note(attempt, sighting)

    def wait(self, moved: Callable[[], None]) -> None:
        """Look until all that are wanted have ended; `moved` is called each time and may raise, when waiting has lost its point."""
        while True:
            self.look()
            self.talk.progress(self.lines)
            if not self.awaited:
                return
            moved()
            time.sleep(self._nap())

    def look_thoroughly(self) -> None:
        """Look, and where a job has just gone, for as long as its status may take to show."""
        self.look()
        while any(self.seen[attempt.token].seen is Seen.GONE for attempt in self.open):
            time.sleep(self._nap())
            self.look()

    def _nap(self) -> float:
        settling = any(self.seen[attempt.token].seen is Seen.GONE for attempt in self.open)
        return min(self.context.cluster.poll_seconds, GRACE / 4) if settling else self.context.cluster.poll_seconds

    def _hand_over(self, attempt: Attempt) -> Sighting:
        job = self.jobs[attempt.job]
        try:
            _check_script(self.work / job.script, job, attempt, self.context.summary.experiment.name)
            output = job_files(self.work, attempt.token).relative_to(self.work) / "output"
            return self.scheduler.submit(self.context.cluster, self.work, Submission(attempt.token, job.script, str(output), job.resources))
        except CkgitError as error:
            if error.code is not Exit.COMMAND_FAILED:
                raise
            self.ended[attempt.token] = Ended(attempt, None, error.what, FailureClass.REFUSED)
            return Sighting(Seen.GONE)

    def _settle(self, attempt: Attempt, gone: Sighting) -> Sighting:
        """A job that is gone has ended when its status says so, or when that has not come in time; one that cannot be read is unknown."""
        token, now = attempt.token, time.monotonic()
        if token in self.ended:
            return gone
        status, why = None, "its process is gone and left no status: it was killed, or the machine stopped"
        try:
            status = read_status(self.work, token)
        except ValueError as error:
            why = str(error)
        except OSError as error:
            self.gone_since.pop(token, None)  # what shows once it can be read again has its time to settle, too
            late = now - self.unreadable_since.setdefault(token, now) >= GRACE
            return Sighting(Seen.UNKNOWN, gone.job_id, f"{token}: its status cannot be read: {error.strerror}") if late else gone
        self.unreadable_since.pop(token, None)
        if status:
            self.ended[token] = Ended(attempt, status)
        elif now - self.gone_since.setdefault(token, now) >= GRACE:
            self.ended[token] = Ended(attempt, None, why, FailureClass.LOST)
        return gone

    def _note(self, attempt: Attempt, sighting: Sighting) -> None:
        """Say what is new of a job."""
        before = self.seen.get(attempt.token)
        self.seen[attempt.token] = sighting
        if sighting.seen is Seen.RUNNING:
            self.running_since.setdefault(attempt.token, _claimed(self.work, attempt.token))
        if attempt.token in self.ended:
            self.talk.say(f"{attempt.job}: {_ending(self.ended[attempt.token])}")
        elif (before is None or before.seen is not sighting.seen) and sighting.seen is not Seen.GONE:
            self.talk.say(f"{attempt.job}: {sighting.seen}" + (f" ({sighting.detail})" if sighting.detail else ""))

    def lines(self) -> list[str]:
        """A line for each running job: step, loss, time left."""
        running = [attempt for attempt in self.open if self.seen[attempt.token].seen is Seen.RUNNING]
        width = max((len(attempt.job) for attempt in running), default=0)
        return [f"{attempt.job:<{width}}  {self.progress(attempt)}" for attempt in running]

    def count(self) -> str:
        """How many jobs are open, by what was last seen of them."""
        kinds = Counter(str(self.seen[a.token].seen) if a.token in self.seen else "not looked at" for a in self.open)
        return ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items())) or "none open"

    def progress(self, attempt: Attempt) -> str:
        """How far a running job is, in words."""
        output = tail(job_files(self.work, attempt.token) / "output")
        found = self.worker.progress(self.context, self.jobs[attempt.job], self.work, output)
        elapsed = max(0.0, time.time() - self.running_since.get(attempt.token, time.time()))
        if found is None or not found.steps:
            return f"started {clock(elapsed)} ago"
        parts = [f"{found.step}/{found.steps}"]
        parts += [f"loss {found.loss:.4g}"] if found.loss is not None else []
        parts += [f"{clock(elapsed / found.step * (found.steps - found.step))} left"] if found.step else []
        return "  ".join([*parts, *([found.note] if found.note else [])])


def _check_script(path: Path, job: Job, attempt: Attempt, name: str) -> None:
    """The bytes that were committed as the intent are those that run."""
    what = ""
    try:
        if hashlib.sha256(path.read_bytes()).hexdigest() != attempt.script_sha256:
            what = "the job's script in the work tree is not the one that was scaffolded"
    except OSError as error:
        what = f"the job's script cannot be read: {error.strerror}"
    if what:
        onward = f"git show exp/{name}:{job.script} > {path}, then ckgit retry {name}"
        raise CkgitError(what, code=Exit.COMMAND_FAILED, where=str(path), state="the job was not started", next=onward)


def _claimed(work: Path, token: str) -> float:
    try:
        return (job_files(work, token) / "claim").stat().st_mtime
    except OSError:
        return time.time()


def _ending(ended: Ended) -> str:
    if ended.status:
        return f"ended with exit code {ended.status.exit_code}"
    return f"{ended.failure}: {ended.reason}"


def clock(seconds: float) -> str:
    """A duration as people read it: 0:07, 12:30, 3:04:05."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
