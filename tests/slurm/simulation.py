"""ckgit processes and a SLURM in one process, in step: a process stops wherever it may be killed or another may act.

What is real: the scheduler, its records on disk, and each job's script, run by bash. SLURM is the fake of tests/slurm/fake, whose
answers are held to a real one by test_contract.py; here its commands are called in-process, its folder is memory, and its
time is the simulation's.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ckgit.errors import CkgitError
from ckgit.experiment.cluster import Cluster
from ckgit.jobs.folder import job_folder
from ckgit.schedulers.slurm import cancel as slurm_cancel
from ckgit.schedulers.slurm import commands as slurm_commands
from ckgit.schedulers.slurm import queries as slurm_ask
from ckgit.schedulers.slurm import records as slurm_records
from ckgit.schedulers.slurm import scheduler as slurm_module
from ckgit.schedulers.slurm import submit as slurm_submit
from ckgit.schedulers.slurm.parsers import Answer, SbatchOutcome, judge_sbatch
from tests.slurm.fake import job_environment, main, scheduling, store

GRACE = 60.0  # seconds, as on a real cluster: time costs nothing here
HOME = store.Site.home
# Where a ckgit process stops. It has not done yet what the point is called by, but where its name says otherwise.
POINTS = (
    *("read_record", "read_traces", "note_absent", "forget_absent", "settle", "take", "link", "take_back", "write_answer", "replace", "touch"),
    *("squeue", "squeue answered", "sacct", "sacct answered", "scancel", "scancel answered", "sleep"),
    *("sbatch", "sbatch runs", "sbatch answered"),
)
_RECORDS = ("read_record", "read_traces", "note_absent", "forget_absent", "settle", "take", "take_back", "write_answer")


class KilledError(BaseException):
    """A ckgit process was killed."""


class TwiceError(AssertionError):
    """What must happen once has happened twice."""


class Ckgit:
    """A ckgit process: a thread that goes on only when it is told to."""

    _mine = threading.local()

    def __init__(self) -> None:
        self.at = ""  # the point at which it stands; empty when it has nothing to do
        self.refused = False  # whether its last act ended with an error for the user
        self.impatient = False  # whether it gives up on the sbatch that it waits for
        self.program: Program | None = None  # its latest sbatch
        self._error: BaseException | None = None
        self._killed = False
        self._my_turn, self._their_turn = threading.Semaphore(0), threading.Semaphore(0)

    @classmethod
    def current(cls) -> Ckgit | None:
        return getattr(cls._mine, "process", None)

    def begin(self, act: Callable[[], None]) -> None:
        """Stand before the first point of an act."""
        self._killed, self.refused, self.impatient, self.at = False, False, False, "begin"
        self._thread = threading.Thread(target=self._run, args=(act,))
        self._thread.start()

    def go_on(self, until: str = "") -> None:
        """Go on to a point, or to the end."""
        if not self.at:
            return
        while self.at:
            self._my_turn.release()
            self._their_turn.acquire()
            if self.at == until:
                break
        self._check()

    def die(self) -> None:
        """kill -9."""
        self._killed = True
        self.go_on()

    def stop_at(self, point: str) -> None:
        if not self._killed:
            self.at = point
            self._their_turn.release()
            self._my_turn.acquire()
        if self._killed:
            raise KilledError

    def _run(self, act: Callable[[], None]) -> None:
        self._mine.process = self
        self._my_turn.acquire()
        try:
            if not self._killed:
                act()
        except KilledError:
            pass
        except CkgitError:
            self.refused = True
        except BaseException as error:  # noqa: BLE001 - the test is told
            self._error = error
        self.at = ""
        self._their_turn.release()

    def _check(self) -> None:
        if not self.at:
            self._thread.join()
        if self._error:
            error, self._error = self._error, None
            raise error


def stop_at(point: str) -> None:
    process = Ckgit.current()
    if process:
        process.stop_at(point)


class Program:
    """An sbatch that a ckgit process started. It holds the lock of the record, and goes on when that process dies."""

    def __init__(self, words: list[str], environment: dict[str, str], cwd: Path, lock: int) -> None:
        self.words, self.environment, self.cwd = words, environment, cwd
        self.lock: int | None = os.dup(lock)
        self.name = next(word.removeprefix("--job-name=") for word in words if word.startswith("--job-name="))
        self.answer: Answer | None = None
        self.ended: float | None = None  # when, in the simulation's time

    def end(self, now: float) -> None:
        if self.lock is not None:
            os.close(self.lock)
            self.lock, self.ended = None, now

    def may_have_been_accepted(self) -> bool:
        return not self.answer or judge_sbatch(self.answer).outcome not in {SbatchOutcome.UNREACHABLE, SbatchOutcome.LATER}


class Job:
    """A job that SLURM calls running, with the process that it is."""

    def __init__(self, job: SimpleNamespace) -> None:
        self.job, self.key = job, job.key
        self.token = job.name if job.task is None else f"{job.name}_{job.task}"
        self.restart = job.restarts
        self.started = False
        self.status: bytes | None = None  # what it will leave as its last act


class MemorySite(store.Site):
    """The folder of the fake SLURM, in memory."""

    memory: dict[str, object] = {}

    def __init__(self, folder: str, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.knobs = store.KNOBS | self.memory["knobs"]
        self.user, self.uid, self.home_folder = "root", os.getuid(), "/root"

    def record(self, entry: dict[str, object]) -> None:
        pass

    def change_knobs(self, change: Callable[[dict[str, object]], dict[str, object]]) -> None:
        self.memory["knobs"] |= change(store.KNOBS | self.memory["knobs"])
        self.knobs = store.KNOBS | self.memory["knobs"]

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        yield

    @contextlib.contextmanager
    def cluster(self, name: str) -> Iterator[SimpleNamespace]:
        new = SimpleNamespace(name=name, next_id=1, next_key=1, jobs=[], inbox=[])
        yield self.memory["clusters"].setdefault(name, new)


class Simulation:
    """A work tree, a SLURM and its time."""

    def __init__(self, folder: Path, profile: Cluster) -> None:
        self.folder, self.work, self.profile = folder, folder / "work", profile
        self.work.mkdir()
        self.now = 0.0
        self.programs: list[Program] = []  # every sbatch that was ever started
        self.jobs: dict[int, Job] = {}
        self._alive: dict[Ckgit | None, set[str]] = {}  # at the last squeue of each process: tokens whose claimed job was alive
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "USER": "root", "FAKE_SLURM": str(folder)}
        MemorySite.memory = {"knobs": {"manual": True}, "clusters": {}}

    @property
    def alive_when_asked(self) -> set[str]:
        """Tokens whose claimed job was alive when this process asked squeue last; another one may have asked since."""
        return self._alive.get(Ckgit.current(), set())

    # ---- SLURM

    @property
    def site(self) -> MemorySite:
        return MemorySite(str(self.folder), self.environment)

    @property
    def queue(self) -> SimpleNamespace:
        with self.site.cluster(HOME) as cluster:
            return cluster

    def knob(self, **knobs: object) -> None:
        self.site.set_knobs(**knobs)

    def ask(self, *words: str, environment: dict[str, str] | None = None, cwd: Path | None = None) -> Answer:
        """A SLURM command, now."""
        said = main.run(words[0], list(words[1:]), environment or self.environment, str(cwd or self.work))
        assert said.code != 64, said.stderr
        self.note_running()
        return Answer(said.code, said.stdout, said.stderr)

    def note_running(self) -> None:
        """Which jobs run now; one that was queued again is another process."""
        for job in self.queue.jobs:
            known = self.jobs.get(job.key)
            if job.state == "RUNNING" and (known is None or known.restart != job.restarts):
                self.jobs[job.key] = Job(job)

    def pass_time(self, seconds: float) -> None:
        """For SLURM, and for the files by which ckgit knows how long something lasts."""
        self.now += seconds
        self.knob(clock=self.now)
        for path in self.work.glob(".ckgit/*/*/absent"):
            moment = path.stat().st_mtime - seconds
            os.utime(path, (moment, moment))
        with self.site.cluster(HOME) as cluster:
            scheduling.tick(cluster, self.site)
        self.note_running()

    # ---- jobs

    @property
    def alive(self) -> list[Job]:
        return [one for one in self.jobs.values() if one.job.state == "RUNNING" and one.restart == one.job.restarts]

    def job_folder(self, token: str) -> Path:
        return job_folder(self.work, token)

    def claim_of(self, token: str) -> str:
        with contextlib.suppress(OSError):
            return (self.job_folder(token) / "claim" / "id").read_text().strip()
        return ""

    def start(self, one: Job) -> None:
        """The script of a job, up to its last act: the status that it leaves."""
        one.started = True
        path = self.job_folder(one.token) / "status.json"
        before = path.stat().st_mtime_ns if path.exists() else None
        with self.site.cluster(HOME) as cluster:
            environment = job_environment.job_environment(one.job, cluster, self.site)
        with open(one.job.output, "ab") as output:  # noqa: PTH123 - it has the name that SLURM gave it
            subprocess.run([one.job.script], cwd=one.job.workdir, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL, check=False)
        if path.exists() and path.stat().st_mtime_ns != before:
            one.status = path.read_bytes()
            path.unlink()

    def leave_status(self, one: Job, exit_code: int = 0) -> None:
        if one.status is not None:
            text = json.dumps(json.loads(one.status) | {"exit_code": exit_code})
            (self.job_folder(one.token) / "status.json").write_text(text)

    def end(self, one: Job, state: str, exit_code: str) -> None:
        with self.site.cluster(HOME) as cluster:
            scheduling.ask_to_end(one.job, cluster, self.site, state, exit_code=exit_code)
        self.note_running()

    def forget(self, one: Job) -> None:
        """SLURM does not know of a job any more, neither in its queue nor in its accounting."""
        self.queue.jobs.remove(one.job)
        del self.jobs[one.key]

    def owns(self, one: Job) -> bool:
        """Whether a job has the claim, or nobody has it."""
        return self.claim_of(one.token) in {"", str(one.job.id)}

    def executions(self, token: str) -> int:
        path = self.work / "executions"
        return path.read_text().split().count(token) if path.exists() else 0

    # ---- ckgit's view

    def call(self, cluster: Cluster, words: list[str], *, cwd: Path | None = None, lock: int | None = None) -> Answer:
        """In place of slurm_call.call."""
        stop_at(words[0])
        environment = slurm_commands.environment(cluster, words[0], self.environment, "/usr/bin")
        if words[0] != "sbatch":
            answer = self.ask(*words, environment=environment)
            if words[0] == "squeue":
                alive = {one.token for one in self.alive if one.started and self.owns(one)}
                self._alive[Ckgit.current()] = alive if answer.code == 0 else set()
            stop_at(f"{words[0]} answered")
            return answer
        program = Program(words, environment, cwd, lock)
        self._check_once(program)
        self.programs.append(program)
        process = Ckgit.current()
        process.program = program
        stop_at("sbatch runs")
        if not process.impatient:
            self.let_go_on(program)
            stop_at("sbatch answered")
        program.end(self.now)
        return Answer(None, "", "") if process.impatient else program.answer

    def let_go_on(self, program: Program) -> None:
        program.answer = self.ask(*program.words, environment=program.environment, cwd=program.cwd)

    def _check_once(self, program: Program) -> None:
        """No sbatch while another one for the same job runs, or before it is known for a time that nothing came of it."""
        for earlier in self.programs:
            if earlier.name == program.name and earlier.may_have_been_accepted() and (earlier.ended is None or self.now - earlier.ended < GRACE):
                raise TwiceError(f"{program.name} was handed over twice")

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The scheduler of this process works with this SLURM."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store, "Site", MemorySite)
            for module in (slurm_ask, slurm_cancel, slurm_module, slurm_submit):
                patch.setattr(module, "call", self.call)
            for module in (slurm_cancel, slurm_module):
                patch.setattr(module, "time", SimpleNamespace(sleep=self._sleep, monotonic=lambda: self.now))
            # a ckgit process has one thread here: what it does at the same time as others is for those others to show
            patch.setattr(slurm_module, "_in_threads", lambda hand, todo: [hand(unit) for unit in todo])
            for name in _RECORDS:
                patch.setattr(slurm_records, name, _stopping(name, getattr(slurm_records, name)))
            patch.setattr(os, "link", _stopping("link", os.link))
            for name in ("replace", "touch"):
                patch.setattr(Path, name, _stopping(name, getattr(Path, name)))
            yield

    def _sleep(self, seconds: float) -> None:
        if seconds:
            stop_at("sleep")
            self.pass_time(seconds)


def _stopping(point: str, function: Callable[..., object]) -> Callable[..., object]:
    def stops(*arguments: object, **named: object) -> object:
        stop_at(point)
        return function(*arguments, **named)

    return stops


def has_locks(folder: Path) -> bool:
    """Whether a lock of one descriptor keeps another one out, which the records rest on."""
    path = folder / "lock"
    with path.open("w") as one, path.open("w") as two:
        fcntl.flock(one, fcntl.LOCK_EX)
        try:
            fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
