"""`scontrol`."""

import os
import signal

from tests.slurm.fake import scheduling, store, times
from tests.slurm.fake.answers import Answer, NotTriedError, Option, read_all_options
from tests.slurm.fake.dependencies import show_dependency

OPTIONS = [Option("clusters", "M"), Option("oneliner", "o", value=False)]


def parse(arguments, site, cwd, stdin):
    given, words = read_all_options(OPTIONS, arguments)
    if not words or (words[0] == "show" and words[1:2] not in (["job"], ["config"])) or words[0] not in VERBS:
        raise NotTriedError(f"scontrol {' '.join(words[:2])}")
    return given | {"words": words, "clusters": given.get("clusters") or site.environment.get("SLURM_CLUSTERS")}


def answer(request, site, clusters):
    verb, *words = request["words"]
    with site.cluster(clusters[0]) as cluster:
        scheduling.tick(cluster, site)
        said = VERBS[verb](words, request, cluster, site)
        scheduling.tick(cluster, site)
    return said


def no_controller(request, reason):
    if request["words"][0] == "ping":
        stars = "*" * 41
        return Answer(
            1, f"Slurmctld(primary) at {os.uname().nodename} is DOWN\n{stars}\n** RESTORE SLURMCTLD DAEMON TO SERVICE **\n{stars}\n"
        )
    if request["words"][0] == "requeue":
        return Answer(1, "", f"Unexpected message received for job {request['words'][1]}\n")
    return Answer(1, "", f"slurm_load_jobs error: {reason}\n")


def _ping(words, request, cluster, site):
    return Answer(0, f"Slurmctld(primary) at {os.uname().nodename} is UP\n")


def _show(words, request, cluster, site):
    if words[0] == "config":
        return Answer(0, _config(cluster, site))
    from tests.slurm.fake.squeue import visible

    jobs = [job for job in (store.find(cluster, words[1]) if words[1:] else cluster.jobs) if job in visible(cluster, site)]
    if not jobs and words[1:]:
        return Answer(1, "", "slurm_load_jobs error: Invalid job id specified\n")
    texts = [_describe(job, cluster, site) for job in jobs]
    return Answer(0, "".join(" ".join(text.split()) + " \n" if request.get("oneliner") else f"{text}\n" for text in texts))


def _config(cluster, site):
    values = {"ClusterName": cluster.name, "JobRequeue": "1", "MaxArraySize": site.knobs["max_array"], "MaxJobCount": 10000}
    values |= {"MinJobAge": f"{int(site.knobs['min_job_age'])} sec", "SLURM_VERSION": "22.05.8"}
    return "".join(f"{name:<23} = {value}\n" for name, value in values.items())


def _describe(job, cluster, site):
    array = "" if job.array is None else f" ArrayJobId={job.array} ArrayTaskId={job.task}"
    requeues = int(bool(job.can_requeue))
    ran = (job.end or site.now()) - job.start if job.start is not None else 0
    start, end = times.show(job.start if job.start is not None else job.begin, "Unknown"), times.show(job.end, "Unknown")
    return (
        f"JobId={store.raw_id(job)}{array} JobName={job.name}\n   UserId={job.user}({site.uid}) GroupId={job.user}({os.getgid()}) MCS_label=N/A\n"
        f"   Priority={0 if job.held else 4294901748} Nice=0 Account={job.account} QOS={job.qos}\n"
        f"   JobState={job.state} Reason={job.reason} Dependency={show_dependency(job, cluster)}\n"
        f"   Requeue={requeues} Restarts={job.restarts} BatchFlag=1 Reboot=0 ExitCode={job.exit}\n"
        f"   RunTime={times.elapsed(ran)} TimeLimit={times.elapsed(job.limit * 60)} TimeMin=N/A\n"
        f"   SubmitTime={times.show(job.submit)} EligibleTime={times.show(job.eligible, 'Unknown')}\n"
        f"   StartTime={start} EndTime={end} Deadline=N/A\n   Partition={job.partition} NodeList={','.join(job.nodes)}\n"
        f"   WorkDir={job.workdir}\n   StdErr={job.error or job.output}\n   StdIn=/dev/null\n   StdOut={job.output}\n"
    )


def _each(words, cluster, act, suffix=""):
    """Do something to the jobs that are named; what failed is said."""
    errors = []
    for word in words[0].split(","):
        jobs = store.find(cluster, word)
        problem = next((found for job in jobs if (found := act(job))), None) if jobs else "Invalid job id specified"
        if problem:
            errors.append(f"{problem} for job {word}\n" + (f"{suffix}: {problem}\n" if suffix else ""))
    return Answer(1 if errors else 0, "", "".join(errors))


def _requeue(words, request, cluster, site, *, hold=False):
    def act(job):
        if job.state == "PENDING":
            if job.held and not hold:
                scheduling.requeue(job, cluster, site)
                return None
            return "Job is pending execution"
        if not job.can_requeue:
            return "Requested operation is presently disabled"
        if store.is_over(job):
            scheduling.requeue(job, cluster, site, hold=hold)
        else:
            scheduling.ask_to_end(job, cluster, site, "REQUEUED", requeue=True, hold=hold)
        return None

    return _each(words, cluster, act)


def _requeue_and_hold(words, request, cluster, site):
    return _requeue(words, request, cluster, site, hold=True)


def _hold(words, request, cluster, site):
    def act(job):
        if store.is_over(job):
            return "Job has already finished"
        job.held = "admin" if site.uid == 0 else "user"
        return None

    return _each(words, cluster, act, "slurm_suspend error")


def _release(words, request, cluster, site):
    def act(job):
        if store.is_over(job):
            return "Job has already finished"
        job.held = None
        return None

    return _each(words, cluster, act, "slurm_suspend error")


def _pause(number, state):
    def verb(words, request, cluster, site):
        def act(job):
            if not job.process:
                raise NotTriedError("suspend of a job that does not run")
            os.killpg(job.process, number)
            job.state = state

        return _each(words, cluster, act)

    return verb


def _update(words, request, cluster, site):
    changes = {key.lower(): value for key, _, value in (word.partition("=") for word in words)}
    number = changes.pop("jobid", None)
    if number is None:
        raise NotTriedError("an update of something else than a job")
    if "nosuch" in changes:
        return Answer(1, "", f"Update of this parameter is not supported: {words[-1]}\nRequest aborted\n")
    unknown = set(changes) - {"starttime", "timelimit", "endtime"}
    if unknown:
        raise NotTriedError(f"an update of {', '.join(unknown)}")

    def act(job):
        if store.is_over(job):
            return "Job has already finished"
        if "starttime" in changes:
            job.begin = times.moment(changes["starttime"], site.now())
            scheduling.wake_at(site, cluster, job.begin)
        if "timelimit" in changes:
            job.limit, job.end_by = times.minutes(changes["timelimit"]), None
        if "endtime" in changes:
            job.end_by = times.moment(changes["endtime"], site.now())
        if job.supervisor:
            scheduling.notify(job)
        return None

    try:
        return _each([number], cluster, act)
    except ValueError:
        return Answer(1, "", "scontrol: error: Invalid TimeLimit value\n")


VERBS = {
    "ping": _ping,
    "show": _show,
    "requeue": _requeue,
    "requeuehold": _requeue_and_hold,
    "hold": _hold,
    "release": _release,
    "update": _update,
    "suspend": _pause(signal.SIGSTOP, "SUSPENDED"),
    "resume": _pause(signal.SIGCONT, "RUNNING"),
}
