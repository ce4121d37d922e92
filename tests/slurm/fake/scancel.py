"""`scancel`."""

import os
import signal

from tests.slurm.fake import scheduling, store
from tests.slurm.fake.answers import Answer, NotTriedError, Option, read_all_options
from tests.slurm.fake.squeue import SHORT

OPTIONS = [
    Option("batch", "b", value=False),
    Option("clusters", "M"),
    Option("full", "f", value=False),
    Option("jobname", ""),
    Option("me", value=False),
    Option("name", "n"),
    Option("partition", "p"),
    Option("quiet", "Q", value=False),
    Option("signal", "s"),
    Option("state", "t"),
    Option("user", "u"),
]


def parse(arguments, site, cwd, stdin):
    given, words = read_all_options(OPTIONS, arguments)
    if given.get("me"):
        given["user"] = site.user
    given["ids"] = [part for word in words for part in _split(word)]
    given["clusters"] = given.get("clusters") or site.environment.get("SLURM_CLUSTERS")
    if not given["ids"] and not {"name", "user", "partition", "state"} & set(given):
        raise Answer.Given(1, "", "scancel: error: No job identification provided\n")
    for word in given["ids"]:
        if not word.partition("_")[0].isdigit():
            raise Answer.Given(1, "", f"scancel: error: Invalid job id {word}\n")
    return given


def _split(word):
    return [word] if "[" in word else word.split(",")


def answer(request, site, clusters):
    for name in clusters:
        with site.cluster(name) as cluster:
            scheduling.tick(cluster, site)
            for job, alone in _wanted(request, cluster):
                if job in cluster.jobs and not store.is_over(job):
                    _end(job, cluster, site, request, alone=alone)
            scheduling.tick(cluster, site)
    return Answer(0, "")  # also for ids that nobody knows


def _wanted(request, cluster):
    """Each job, and whether it was named by its task alone."""
    named = [(job, "_" in word) for word in request["ids"] for job in store.find(cluster, word)]
    chosen = named if request["ids"] else [(job, False) for job in cluster.jobs]
    return [(job, alone) for job, alone in chosen if _is_wanted(job, request)]


def _is_wanted(job, request):
    states = request.get("state")
    if states and not {job.state, SHORT.get(job.state)} & set(states.upper().split(",")):
        return False
    return all(
        not request.get(key) or request[key] == value
        for key, value in (("name", job.name), ("user", job.user), ("partition", job.partition))
    )


def _end(job, cluster, site, request, *, alone):
    if "signal" in request and request["signal"].upper() not in {"KILL", "SIGKILL", "9"}:
        number = getattr(signal, f"SIG{request['signal'].upper().removeprefix('SIG')}", None) or int(request["signal"])
        if not request.get("batch") and not request.get("full"):
            raise NotTriedError("--signal without --batch or --full")
        if job.process:
            (os.killpg if request.get("full") else os.kill)(job.process, number)
        return
    if job.state == "PENDING":
        scheduling.finish(
            job, cluster, site, {"state": "CANCELLED", "exit": "0:0", "by": site.uid, "requeue": False, "hold": False, "alone": alone}
        )
    else:
        scheduling.ask_to_end(job, cluster, site, "CANCELLED", by=site.uid)
