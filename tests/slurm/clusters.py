"""A real and a fake SLURM with one face: the environment to use them, and how to make them misbehave."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.slurm.fake import scheduling, store

HERE = Path(__file__).parent
CLUSTER = HERE / "cluster"
PROGRAMS = ("sbatch", "slurmctld", "slurmd", "slurmdbd", "munged", "mariadbd")


def eventually(ask, is_right, seconds=60.0):
    """What `ask()` returns as soon as it `is_right`; the last answer once time is up, for an assert to show."""
    end = time.monotonic() + seconds
    while not is_right(answer := ask()) and time.monotonic() < end:
        time.sleep(0.05)
    return answer


class Slurm:
    """What both have. Commands run in `folder`, a folder that the jobs see, too."""

    is_real: bool
    folder: Path

    @property
    def environment(self):
        raise NotImplementedError

    def run(self, *command, **environment):
        """A command and what became of it: returncode, stdout, stderr."""
        everything = self.environment | environment
        program = shutil.which(command[0], path=everything["PATH"])
        return subprocess.run(
            [program, *map(str, command[1:])],
            env=everything,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def ask(self, *command):
        """The output of a command that must succeed, without the last newline."""
        done = self.run(*command)
        assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr}"
        return done.stdout.removesuffix("\n")

    def submit(self, *options, commands="exit 0", arguments=(), **environment):
        """The id of a new job whose script has these shell commands."""
        script = self.folder / f"job-{time.monotonic_ns()}.sh"
        script.write_text(f"#!/bin/bash\n{commands}\n")
        done = self.run("sbatch", "--parsable", *options, script, *arguments, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().partition(";")[0]

    def state(self, number):
        return self.ask("squeue", "-h", "-r", "-t", "all", "-j", number, "-o", "%T")

    def wait(self, number, *states):
        """Wait until a job is in one of these states."""
        found = eventually(lambda: self.state(number), lambda state: state in states)
        assert found in states, f"job {number} is {found}"
        return found

    def accounted(self, number, fields="State", *options):
        """What sacct says of a job as a whole."""
        return self.ask("sacct", "-X", "-n", "-P", "-j", number, "-o", fields, *options)

    def start_now(self, number):
        """Shorten the wait of two minutes that follows a requeue, not to nothing: slurmd takes no job again in the second in which it ended it."""
        eventually(lambda: self.ask("squeue", "-h", "-j", number, "-o", "%T %r"), "PENDING BeginTime".__eq__)
        done = self.run("scontrol", "update", f"JobId={number}", "StartTime=now+2")
        assert done.returncode == 0 or self.state(number) != "PENDING", done.stderr  # on a busy machine the fake's short wait may be over


class FakeSlurm(Slurm):
    """The fake one of tests/slurm/fake; `knob` sets what store.KNOBS lists."""

    is_real = False

    def __init__(self, root):
        self.root, self.folder = root / "fake", root / "work"
        self.root.mkdir()
        self.folder.mkdir()
        self.knob(requeue_delay=0.5, kill_wait=10.0)  # a job that does what it is told has time for it, however busy the machine

    @property
    def set_up(self):
        """Set-up line of a job that calls SLURM's commands itself."""
        return f"export FAKE_SLURM='{self.root}' FAKE_SLURM_PYTHON='{sys.executable}'"

    @property
    def environment(self):
        path = f"{HERE / 'fake'}:{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "FAKE_SLURM": str(self.root), "FAKE_SLURM_PYTHON": sys.executable}

    def knob(self, **knobs):
        self._site().set_knobs(**knobs)

    def calls(self, name=None):
        """The arguments of each command that was run, of the program `name` or of all."""
        log = self.root / "calls.jsonl"
        entries = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [entry["arguments"] for entry in entries if name in {None, entry["command"]}]

    def end(self, number, state, *, exit_code="0:0", by=None, requeue=False, cluster="alpha"):
        """End a job as SLURM would, in any of its states; by whom (a user id), and whether it comes back under its id."""
        with self._site().cluster(cluster) as jobs:
            for job in store.find(jobs, str(number)):
                scheduling.ask_to_end(job, jobs, self._site(), state, exit_code=exit_code, by=by, requeue=requeue)

    def preempt(self, number, cluster="alpha"):
        """Another job needs its place: PREEMPTED, and back in the queue."""
        self.end(number, "PREEMPTED", requeue=True, cluster=cluster)

    def lose_node(self, number, cluster="alpha"):
        """The node of a job fails."""
        with self._site().cluster(cluster) as jobs:
            comes_back = all(job.can_requeue for job in store.find(jobs, str(number)))
        self.end(number, "NODE_FAIL", requeue=comes_back, cluster=cluster)

    def forget(self, number, cluster="alpha"):
        """No trace of a job is left, neither in the queue nor in accounting."""
        with self._site().cluster(cluster) as jobs:
            gone = store.find(jobs, str(number))
            jobs.jobs = [job for job in jobs.jobs if job not in gone]

    def give_next(self, number, cluster="alpha"):
        """The id of the next job; ids wrap and come again."""
        with self._site().cluster(cluster) as jobs:
            jobs.next_id = int(number)

    def names(self):
        """The name of each job that was ever accepted."""
        return [job.name for job in self.jobs()]

    def jobs(self, cluster="alpha"):
        """What the fake knows of its jobs, oldest first."""
        with self._site().cluster(cluster) as jobs:
            return jobs.jobs

    @contextlib.contextmanager
    def controller(self, how):
        """ "down" or "frozen" for a while."""
        self.knob(controller=how)
        yield
        self.knob(controller="up")

    @contextlib.contextmanager
    def accounting_down(self):
        self.knob(sacct="down")
        yield
        self.knob(sacct="ok")

    @contextlib.contextmanager
    def second_cluster_down(self):
        self.knob(lost_clusters=["beta"])
        yield
        self.knob(lost_clusters=[])

    def close(self):
        """End all that it and its jobs left running: each has its folder in its environment."""
        marks = [f"{name}={self.root}\0".encode() for name in ("FAKE_SLURM", "SLURM_FAKE")]
        while alive := [pid for pid in processes() if any(has(pid, mark) for mark in marks)]:
            for pid in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def _site(self):
        return store.Site(str(self.root), self.environment)


def processes():
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid()]


def has(pid, mark):
    with contextlib.suppress(OSError):
        return is_alive(pid) and mark in Path(f"/proc/{pid}/environ").read_bytes() + b"\0"
    return False


def is_alive(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


class RealSlurm(Slurm):
    """The one that `tests/slurm/cluster` brought up; it is used by others, too, so only what a test submitted is ended."""

    is_real = True
    set_up = "true"  # SLURM_CONF reaches each job

    def __init__(self, folder, settings):
        self.folder, self.settings = folder, settings

    @property
    def environment(self):
        return {**os.environ, **self.settings}

    def cluster(self, *arguments):
        done = subprocess.run(
            [CLUSTER, *arguments], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def names(self):
        """The name of each job that was accepted in the last hour, as often as that is."""
        return self.ask("sacct", "--allocations", "--noheader", "--parsable2", "--starttime=now-1hour", "--format=JobName").splitlines()

    def lose_node(self, number):
        """The node of a job fails, and is back a moment later."""
        node = self.ask("squeue", "-h", "-j", number, "-o", "%B")
        as_root = [] if os.getuid() == 0 else ["sudo", "-n", "env", f"SLURM_CONF={self.environment['SLURM_CONF']}"]
        self.ask(*as_root, "scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
        eventually(lambda: self.ask("sinfo", "-h", "-N", "-n", node, "-p", "main", "-o", "%T"), lambda state: state in {"idle", "mixed"})

    @contextlib.contextmanager
    def controller(self, how):
        """ "down" or "frozen" for a while."""
        do, undo = {"down": ("stop", "start"), "frozen": ("freeze", "thaw")}[how]
        with self._daemon(do, undo, "slurmctld-alpha"):
            yield

    def accounting_down(self):
        return self._daemon("stop", "start", "slurmdbd")

    def second_cluster_down(self):
        return self._daemon("stop", "start", "slurmctld-beta")

    @contextlib.contextmanager
    def _daemon(self, do, undo, daemon):
        self.cluster(do, daemon)
        try:
            yield
        finally:
            self.cluster(undo, daemon)
            if do == "stop":
                self.cluster("up")  # returns once the nodes have reported back

    def close(self):
        mine = [line.split(" ", 1) for line in self.ask("squeue", "-h", "-o", "%A %Z").splitlines()]
        ids = [number for number, folder in mine if Path(folder).is_relative_to(self.folder)]
        if ids:
            self.ask("scancel", *ids)


def missing():
    """Why there can be no real SLURM here, or None."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    for program in PROGRAMS:
        if shutil.which(program, path=path) is None:
            return f"{program} is not installed: run tests/slurm/cluster install"
    if os.getuid() != 0 and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode != 0:
        return "a real SLURM needs root, or sudo without a password"
    return None


def bring_up(environment):
    """(settings that point SLURM's commands to the cluster, whether it was down before)."""
    was_down = subprocess.run([CLUSTER, "status"], env=environment, capture_output=True, check=False).returncode != 0
    done = subprocess.run([CLUSTER, "up"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = subprocess.run([CLUSTER, "env"], env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    settings = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    return settings | {name: environment[name] for name in ("CKGIT_SLURM", "CKGIT_SLURM_PORT") if name in environment}, was_down
