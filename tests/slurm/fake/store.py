"""The folder of a fake SLURM: its knobs, its jobs, and the log of what it was asked."""

import contextlib
import fcntl
import json
import os
import pwd
import time
from types import SimpleNamespace

KNOBS = {
    # ---- what the next submissions meet, in this order; the last one stays if it ends with "...":
    #   "ok"; "lost": accepted, and the answer is a time-out; "garbled": accepted, and the answer is not understood; "late": likewise, and accepted late_seconds after it;
    #   "timeout": a time-out, and never accepted; "connect": no controller; or a key of sbatch.REFUSALS: refused with its words
    "sbatch": [],
    "late_seconds": 1.0,
    # ---- daemons
    "controller": "up",  # of the home cluster; "down": nothing is accepted; "frozen": time-outs, and what was submitted meanwhile is accepted after it
    "patience": 0.0,  # seconds until a command gives up on the controller (the real ones: 9 to 20)
    "squeue": "ok",  # "fails": a time-out
    "sacct": "ok",  # "down": slurmdbd does not answer; "off": the site has none; "empty": as if it knew no job
    "sacct_lag": 0.0,  # seconds in which sacct does not know a job, or takes it for a pending `allocation`
    "lost_clusters": [],  # squeue -M leaves them out without a word
    # ---- jobs
    "manual": False,  # jobs start and nothing runs: a test ends them by FakeSlurm.end
    "words": {},  # job id: the state that squeue and sacct call it by
    "hide": {},  # {"seconds": 2, "glob": "jobs/*/status.json"}: what a job wrote there is seen this long after its end only
    # ---- the site
    "clock": 0.0,  # seconds to add to the time
    "minute": 60.0,  # seconds in a minute of a time limit
    "min_job_age": 300.0,  # seconds in which squeue knows a job that has ended
    "kill_wait": 2.0,
    "requeue_delay": 120.0,
    "nodes": {"alpha": ["n1", "n2"], "beta": ["m1"]},
    "cpus": 4,
    "memory": 8000,
    "gpus": 2,
    "accounts": ["lab", "other", "root"],
    "partitions": {"main": 120, "short": 1, "scavenge": 120},  # the longest time limit of each, in minutes
    "unknown_parent": "done",  # what a dependency on a job that nobody knows is: "done" as in 22.05, or "refused" as in 23.11
    "qos": {"normal": None, "tight": 2},  # how many jobs of a user each takes
    "max_array": 1001,
}
JOB = {
    "id": None,  # None for a task of an array that has not started: SLURM gives it a number of its own then
    "array": None,
    "task": None,
    "throttle": 0,
    "state": "PENDING",
    "reason": "None",
    "exit": "0:0",
    "by": None,
    "start": None,
    "end": None,
    "nodes": [],
    "output": None,
    "error": None,
    "restarts": 0,
    "history": [],  # earlier incarnations of a requeued job
    "supervisor": None,
    "process": None,
    "ending": None,  # what the supervisor is asked to do with it
    "maxrss": 0,
    "rejected": False,
}
OVER = {
    *("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED"),
    *("OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE", "REVOKED"),
}


class Site:
    """Everything about the folder that does not need its lock."""

    home = "alpha"

    def __init__(self, folder, environment):
        self.folder, self.environment = folder, environment
        self.knobs = KNOBS | read_json(f"{folder}/knobs.json", {})
        account = pwd.getpwuid(os.getuid())
        self.user, self.uid, self.home_folder = account.pw_name, account.pw_uid, account.pw_dir

    def now(self):
        return time.time() + self.knobs["clock"]

    def wait(self, seconds):
        if seconds:
            time.sleep(seconds)

    def record(self, entry):
        with open(f"{self.folder}/calls.jsonl", "a") as file:
            file.write(json.dumps(entry) + "\n")

    def set_knobs(self, **knobs):
        unknown = set(knobs) - set(KNOBS)
        if unknown:
            raise KeyError(f"no knob {', '.join(sorted(unknown))}")
        self.change_knobs(lambda _: knobs)

    def change_knobs(self, change):
        """`change` is given the knobs as they are now, and answers with what it sets: nobody comes between."""
        with self.lock():
            set_in = read_json(f"{self.folder}/knobs.json", {})
            set_in |= change(KNOBS | set_in)
            write_json(f"{self.folder}/knobs.json", set_in)
        self.knobs = KNOBS | set_in

    @contextlib.contextmanager
    def lock(self):
        with open(f"{self.folder}/lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def cluster(self, name):
        """The jobs of a cluster, alone with them; what is changed is kept."""
        with self.lock():
            path = f"{self.folder}/{name}.json"
            old = read_json(path, {"name": name, "next_id": 1, "next_key": 1, "jobs": [], "inbox": []})
            cluster = SimpleNamespace(**old)
            cluster.jobs = [SimpleNamespace(**job) for job in old["jobs"]]
            try:
                yield cluster
            finally:  # a refusal leaves traces, too
                write_json(path, vars(cluster) | {"jobs": [vars(job) for job in cluster.jobs]})


def read_json(path, default):
    try:
        with open(path) as file:
            return json.load(file)
    except FileNotFoundError:
        return default


def write_json(path, value):
    with open(f"{path}.new", "w") as file:
        json.dump(value, file)
    os.replace(f"{path}.new", path)


def is_over(job):
    return job.state in OVER


def label(job, cluster):
    """The id that people see: 12, or 12_3 for a task of an array."""
    if job.array is None:
        return str(job.id)
    if job.id is None and is_over(job):
        return str(job.array) if is_last_task(job, cluster) else f"{job.array}_[{open_tasks(job, cluster)}]"
    return f"{job.array}_{job.task}"


def group_label(job, cluster):
    """Likewise, and 12_[4-9%2] for tasks that wait together."""
    is_group = job.id is None and not is_over(job) and not is_last_task(job, cluster)
    return f"{job.array}_[{open_tasks(job, cluster, throttle=True)}]" if is_group else label(job, cluster)


def open_tasks(job, cluster, *, throttle=False):
    return ranges([other.task for other in waiting_tasks(job, cluster)]) + (f"%{job.throttle}" if throttle and job.throttle else "")


def is_last_task(job, cluster):
    """Whether all others of its array have started: then it is no group of one, but itself."""
    return len(waiting_tasks(job, cluster)) == 1 and any(other.array == job.array and other.id is not None for other in cluster.jobs)


def raw_id(job):
    return job.id if job.id is not None else job.array


def waiting_tasks(job, cluster):
    """The tasks of its array that squeue and sacct show as one line with it."""
    return [
        other
        for other in cluster.jobs
        if other.array == job.array and other.id is None and other.state == job.state and other.reason == job.reason
    ]


def ranges(numbers):
    """[1, 2, 3, 7] is 1-3,7."""
    parts = []
    for number in sorted(numbers):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def find(cluster, word):
    """The jobs that 12, 12_3 or 12_[1-3] names. Raises ValueError for what is no id."""
    number, _, tasks = word.partition("_")
    number = int(number)
    if not tasks:
        whole = [job for job in cluster.jobs if job.array == number]
        return whole or [job for job in cluster.jobs if job.id == number]
    wanted = set(read_ranges(tasks.strip("[]")))
    return [job for job in cluster.jobs if job.array == number and job.task in wanted]


def read_ranges(text):
    for part in text.split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        yield from range(int(first), int(last or first) + 1, int(step or 1))
