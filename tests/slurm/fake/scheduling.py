"""Who may start, how a job ends, and the process that stays with each job while it runs."""

import glob
import os
import re
import signal
import sys
import time
from types import SimpleNamespace

from tests.slurm.fake import store
from tests.slurm.fake.dependencies import dependency_state

ALIVE = {"RUNNING", "SUSPENDED", "COMPLETING"}
SIGNALS = {signal.SIGCHLD, signal.SIGUSR1}  # what a supervisor waits for: that its job ends, or is to be ended
MAIN = os.path.join(os.path.dirname(os.path.realpath(__file__)), "main.py")
NOTICES = {
    "TIMEOUT": " DUE TO TIME LIMIT",
    "PREEMPTED": " DUE TO PREEMPTION",
    "REQUEUED": " DUE TO JOB REQUEUE",
    "NODE_FAIL": " DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS",
}
HELD = {"admin": "JobHeldAdmin", "user": "JobHeldUser", "requeue": "job requeued in held state"}
REASONS = {"TIMEOUT": "TimeLimit", "OUT_OF_MEMORY": "OutOfMemory", "NODE_FAIL": "NodeDown"}


def tick(cluster, site):
    """Let time pass: accept what came late, forget what is old, start what may start."""
    if cluster.name == site.home and site.knobs["controller"] != "up":
        return
    accept_late(cluster, site)
    now = site.now()
    cluster.jobs = [job for job in cluster.jobs if not job.rejected or now - job.end < site.knobs["min_job_age"]]
    for job in cluster.jobs:
        if job.state == "PENDING":
            job.reason = why_waiting(job, cluster, site)
        if job.state == "PENDING" and job.reason == "DependencyNeverSatisfied" and job.kill_on_invalid_dep:
            job.state, job.end = "CANCELLED", now
    for job in cluster.jobs:
        if job.state == "PENDING" and job.reason == "None":
            start_if_it_fits(job, cluster, site)


def accept_late(cluster, site):
    from tests.slurm.fake import sbatch

    due = [entry for entry in cluster.inbox if entry["time"] is None or entry["time"] <= site.now()]
    cluster.inbox = [entry for entry in cluster.inbox if entry not in due]
    for entry in due:
        sbatch.enter(entry["request"], cluster, site)


def why_waiting(job, cluster, site):
    """The reason that keeps a job from starting, or "None"."""
    if job.held:
        return HELD[job.held]
    dependency = dependency_state(job, cluster)
    if dependency == "failed":
        return "DependencyNeverSatisfied"
    if dependency == "unfulfilled":
        return "Dependency"
    if job.eligible is None:
        job.eligible = site.now()
    if job.begin and job.begin > site.now():
        return "BeginTime"
    if job.limit > site.knobs["partitions"][job.partition]:
        return "PartitionTimeLimit"
    if job.node_count > len(site.knobs["nodes"][cluster.name]):
        return "PartitionNodeLimit"
    if job.cpus > site.knobs["cpus"]:
        return "PartitionConfig"
    if job.throttle and sum(other.array == job.array and other.state in ALIVE for other in cluster.jobs) >= job.throttle:
        return "JobArrayTaskLimit"
    return "None"


def start_if_it_fits(job, cluster, site):
    if why_waiting(job, cluster, site) != "None":  # another task of its array has started since
        job.reason = "JobArrayTaskLimit"
        return
    fitting = [node for node in site.knobs["nodes"][cluster.name] if fits(job, node, cluster, site)]
    if len(fitting) < job.node_count:
        ahead = any(other.reason == "Resources" for other in cluster.jobs if other.state == "PENDING" and other is not job)
        job.reason = "Priority" if ahead else "Resources"
        return
    if job.id is None:
        others = [other for other in cluster.jobs if other.array == job.array and other.id is None and other is not job]
        job.id = next_id(cluster) if others else job.array  # the last task to start takes the number of the array
    job.nodes, job.state, job.reason, job.start, job.end, job.ending = fitting[: job.node_count], "RUNNING", "None", site.now(), None, None
    job.output = log_path(job.asked_output, job)
    job.error = job.asked_error and log_path(job.asked_error, job)
    if not site.knobs["manual"]:
        job.supervisor = spawn(site, "supervise", cluster.name, str(job.key))


def log_path(pattern, job):
    """%j, %A and their kin filled in; beside the job's folder where it is relative."""
    values = {
        "j": job.id,
        "A": job.array or job.id,
        "a": job.task if job.task is not None else 2**32 - 2,
        "x": job.name,
        "u": job.user,
        "N": job.nodes[0],
        "%": "%",
    }
    return os.path.join(job.workdir, re.sub(r"%(.)", lambda match: str(values[match[1]]), pattern))


def fits(job, node, cluster, site):
    there = [other for other in cluster.jobs if other.state in ALIVE and node in other.nodes]
    return all(
        sum(getattr(other, what) for other in there) + getattr(job, what) <= site.knobs[limit]
        for what, limit in (("cpus", "cpus"), ("memory", "memory"), ("gpus", "gpus"))
    )


def next_id(cluster):
    cluster.next_id += 1
    return cluster.next_id - 1


def spawn(site, *arguments):
    """A process that holds nothing of its caller's: else `sbatch | cat` would wait for the job."""
    quiet = [(os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_RDWR, 0) for descriptor in (0, 1, 2)]
    environment = {name: site.environment[name] for name in ("PATH", "TZ", "FAKE_SLURM_PYTHON") if name in site.environment} | {
        "FAKE_SLURM": str(site.folder)
    }
    # what comes before the process can take it, waits
    return os.posix_spawn(
        sys.executable, [sys.executable, "-S", "-E", MAIN, *arguments], environment, file_actions=quiet, setsid=True, setsigmask=SIGNALS
    )


def wake(site, cluster_name, moment):
    """What `wake_at` left behind: nobody may be there to ask when something is due."""
    while site.now() < float(moment):
        time.sleep(max(0.005, min(1.0, float(moment) - site.now())))
    with site.cluster(cluster_name) as cluster:
        tick(cluster, site)


def wake_at(site, cluster, moment):
    if not site.knobs["manual"] and moment - site.now() < 600:
        spawn(site, "wake", cluster.name, str(moment + 0.01))


# ---- endings


def ask_to_end(job, cluster, site, state, *, exit_code="0:0", by=None, requeue=False, hold=False):
    """End a job now if nothing runs, else have its supervisor end it."""
    ending = {"state": state, "exit": exit_code, "by": by, "requeue": requeue, "hold": hold}
    if job.state == "PENDING" or not job.supervisor:
        finish(job, cluster, site, ending)
    else:
        job.ending = ending
        job.state = "COMPLETING"
        notify(job)


def notify(job):
    try:
        os.kill(job.supervisor, signal.SIGUSR1)
    except ProcessLookupError:
        pass


def finish(job, cluster, site, ending):
    """Write down that a job has ended, and let the next start."""
    drop_task = job.array is not None and job.id is None and len(store.waiting_tasks(job, cluster)) > 1
    job.state, job.exit, job.by, job.end = ending["state"], ending["exit"], ending["by"], site.now()
    job.supervisor = job.process = job.ending = None
    if job.start is not None:
        job.reason = ending.get("reason") or REASONS.get(job.state, "None")
    if ending["requeue"]:
        requeue(job, cluster, site, hold=ending["hold"])
    elif drop_task and ending.get("alone"):
        cluster.jobs.remove(job)  # neither squeue nor sacct says a word of it
    tick(cluster, site)


def requeue(job, cluster, site, *, hold=False):
    """Another incarnation under the same id. It waits a while first."""
    now = site.now()
    past = {name: value for name, value in vars(job).items() if name not in {"history", "environment"}}
    job.history = [*job.history, past]
    job.state, job.exit, job.by, job.start, job.end, job.nodes, job.reason = "PENDING", "0:0", None, None, None, [], "BeginTime"
    job.restarts += 1
    job.submit, job.eligible = now, None
    job.begin = now + site.knobs["requeue_delay"]
    job.held = "requeue" if hold else None
    wake_at(site, cluster, job.begin)


# ---- the process beside each job


def supervise(site, cluster_name, key):
    """Start the job's script, see to its limit and to what others ask, and write down how it ended."""
    with site.cluster(cluster_name) as cluster:
        job = next(job for job in cluster.jobs if job.key == int(key))
        job.process = launch(job, cluster, site)
        process, view = job.process, SimpleNamespace(**vars(job))
    ended = {"state": "FAILED", "exit": "0:53", "by": None, "requeue": False, "hold": False, "reason": "JobLaunchFailure"}
    usage = 0
    if process:
        ended, usage = stay_with(process, view, cluster_name, site)
        hide_for_a_while(view, site)
    with site.cluster(cluster_name) as cluster:
        job = next(job for job in cluster.jobs if job.key == int(key))
        if job.state in ALIVE and job.supervisor == os.getpid():
            job.maxrss = usage
            finish(job, cluster, site, job.ending or ended)


def launch(job, cluster, site):
    """The process id of the script, or None where its output cannot be written."""
    from tests.slurm.fake.job_environment import job_environment

    folder = job.workdir if os.path.isdir(job.workdir) else "/tmp"  # noqa: S108 - as SLURM does
    try:
        os.chdir(folder)
        how = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if job.open_mode == "append" else os.O_TRUNC)
        output = os.open(job.output, how, 0o644)
        error = os.open(job.error, how, 0o644) if job.error else output
        if folder != job.workdir and not os.path.isabs(job.asked_output):
            return None
    except OSError:
        return None
    files = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, error, 2)]
    try:
        return os.posix_spawn(
            job.script, [job.script, *job.arguments], job_environment(job, cluster, site), file_actions=files, setsid=True, setsigmask=[]
        )
    except OSError:
        return None


def stay_with(process, job, cluster_name, site):
    """(how it ended, peak memory in KiB)."""
    warned, key = False, job.key
    while True:
        finished, status, usage = os.wait4(process, os.WNOHANG)
        if finished:
            kill(process, signal.SIGKILL)  # what it left behind goes, too
            return outcome(status), usage.ru_maxrss
        with site.lock():
            job = next(
                SimpleNamespace(**job) for job in store.read_json(f"{site.folder}/{cluster_name}.json", None)["jobs"] if job["key"] == key
            )
        if job.ending:
            return end_now(process, job, site)
        left = limit_end(job, site) - site.now()
        if left <= 0:
            job.ending = {"state": "TIMEOUT", "exit": "0:0", "by": None, "requeue": False, "hold": False}
            return end_now(process, job, site)
        if job.warning and not warned and left <= job.warning["seconds"]:
            os.kill(process, job.warning["signal"])
            warned = True
        until = left - job.warning["seconds"] if job.warning and not warned else left
        signal.sigtimedwait(SIGNALS, max(0.005, min(until, 3600)))


def limit_end(job, site):
    return job.end_by if job.end_by is not None else job.start + job.limit * site.knobs["minute"]


def outcome(status):
    if os.WIFSIGNALED(status):
        return ended("FAILED", f"0:{os.WTERMSIG(status)}", "JobLaunchFailure")
    code = os.WEXITSTATUS(status)
    return ended("FAILED", f"{code & 127}:0", "NonZeroExitCode") if code else ended("COMPLETED", "0:0", "None")


def ended(state, exit_code, reason):
    return {"state": state, "exit": exit_code, "by": None, "requeue": False, "hold": False, "reason": reason}


def end_now(process, job, site):
    """SIGTERM, a while for last words, SIGKILL."""
    say(job, job.ending["state"])
    patience = 0 if job.ending["state"] in {"OUT_OF_MEMORY", "NODE_FAIL"} else site.knobs["kill_wait"]
    kill(process, signal.SIGCONT)
    kill(process, signal.SIGTERM if patience else signal.SIGKILL)
    end = time.monotonic() + patience
    finished, usage = 0, None
    while not finished and time.monotonic() < end:
        finished, _, usage = os.wait4(process, os.WNOHANG)
        time.sleep(0 if finished else 0.005)
    kill(process, signal.SIGKILL)
    if not finished:
        _, _, usage = os.wait4(process, 0)
    return job.ending, usage.ru_maxrss


def say(job, state):
    """SLURM's own words at the end of a job's log."""
    if state == "OUT_OF_MEMORY":
        words = f"error: Detected 1 oom_kill event in StepId={job.id}.batch. Some of the step tasks have been OOM Killed."
    else:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S")
        words = f"error: *** JOB {job.id} ON {job.nodes[0]} CANCELLED AT {moment}{NOTICES.get(state, '')} ***"
    with open(job.error or job.output, "a") as file:
        file.write(f"slurmstepd-{job.nodes[0]}: {words}\n")


def kill(process, number):
    try:
        os.killpg(process, number)
    except (ProcessLookupError, PermissionError):
        pass


def hide_for_a_while(job, site):
    """A file system that shows late what another machine wrote."""
    hide = store.Site(site.folder, site.environment).knobs["hide"]
    if not hide:
        return
    new = []
    for path in glob.glob(os.path.join(job.workdir, hide["glob"])):
        try:
            if os.stat(path).st_mtime >= job.start - 1:
                os.rename(path, f"{path}.hidden")
                new.append(path)
        except FileNotFoundError:
            pass  # another job that ends now has hidden it
    if new and os.fork() == 0:
        time.sleep(hide["seconds"])
        for path in new:
            os.rename(f"{path}.hidden", path)
        os._exit(0)
