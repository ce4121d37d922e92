"""A SLURM that is not there: `sbatch`, `squeue`, `sacct`, `scancel`, `scontrol` and `sinfo` over one folder, $FAKE_SLURM.

Jobs really run, as processes of this machine. There is no daemon: whichever command or job comes next starts what may start.
What the commands say was copied from SLURM 22.05.8, and tests/slurm/test_contract.py holds both to it. An option, format or
field that was not tried on the real one is refused with exit code 64, so that nobody builds on a guess.

`store.KNOBS` lists what can go wrong on demand.
"""

import os
import sys
from importlib import import_module

if __name__ == "__main__":
    sys.path[0] = os.path.realpath(f"{__file__}/../../../..")

from tests.slurm.fake import scheduling, store
from tests.slurm.fake.answers import Answer, NotTriedError

CONTROLLER = {  # how each says that the controller does not answer, and its exit code; %s is the reason
    "sbatch": ("sbatch: error: Batch job submission failed: %s\n", 1),
    "squeue": ("slurm_load_jobs error: %s\n", 1),
    "scancel": ("scancel: error: Kill job error on job id 1: %s\n", 8),
    "scontrol": ("slurm_load_jobs error: %s\n", 1),
    "sinfo": ("slurm_load_partitions: %s\n", 1),
}
DATABASE_IS_GONE = (
    "{0}: error: slurm_persist_conn_open_without_init: failed to open persistent connection to host:127.0.0.1:6819: Connection refused\n"
    "{0}: error: Sending PersistInit msg: Connection refused\n"
)
NO_CLUSTERS = (
    DATABASE_IS_GONE + "{0}: error: Sending PersistInit msg: Connection refused\n"
    "{0}: error: DBD_GET_CLUSTERS failure: Connection refused\n"
    "{0}: error: Problem talking to database\n"
    "{0}: error: There is a problem talking to the database: Connection refused.  Only local cluster communication is available, "
    "remove --cluster from your command line or contact your admin to resolve the problem.\n"
)
NO_CLUSTER = "{0}: error: No cluster '{1}' known by database.\n"
OUT_OF_REACH = (
    "{0}: error: '{1}' can't be reached now, or it is an invalid entry for --cluster.  "
    "Use 'sacctmgr list clusters' to see available clusters.\n"
)


def run(name, arguments, environment, cwd, stdin=""):
    """One command, as its process would run it: its output, and nothing printed."""
    site = store.Site(environment["FAKE_SLURM"], environment)
    site.record({"command": name, "arguments": arguments, "time": site.now()})
    try:
        return _run(import_module(f"tests.slurm.fake.{name}"), name, arguments, site, cwd, stdin)
    except NotTriedError as error:
        return Answer(64, "", f"{name}: the fake SLURM does not know {error}: try it on a real one, then teach it\n")
    except Answer.Given as given:
        return given.answer


def _run(command, name, arguments, site, cwd, stdin):
    request = command.parse(arguments, site, cwd, stdin)
    if name == "sacct":
        return _ask_accounting(command, request, site)
    clusters = _clusters(name, request, site)
    trouble = site.knobs["controller"]
    if trouble != "up" and site.home in clusters:
        return _unanswered(command, name, request, site, trouble, clusters)
    return command.answer(request, site, clusters)


def _clusters(name, request, site):
    """The clusters that a command is for. Answers for those that cannot be reached, as the real ones do."""
    asked = request.get("clusters")
    if not asked:
        return [site.home]
    if site.knobs["sacct"] == "down":
        raise Answer.Given(1, "", NO_CLUSTERS.format(name))
    names = list(site.knobs["nodes"]) if asked == "all" else asked.split(",")
    for cluster in names:
        if cluster not in site.knobs["nodes"]:
            raise Answer.Given(1, "", (NO_CLUSTER + OUT_OF_REACH).format(name, cluster))
    there = [cluster for cluster in names if cluster not in site.knobs["lost_clusters"]]
    if not there:
        raise Answer.Given(1, "", OUT_OF_REACH.format(name, names[0]))
    return there  # with one of several lost, squeue shows the others and says nothing


def _unanswered(command, name, request, site, trouble, clusters):
    site.wait(site.knobs["patience"])
    if request.get("clusters") and trouble == "down":
        others = [cluster for cluster in clusters if cluster != site.home]
        return command.answer(request, site, others) if others else Answer(1, "", OUT_OF_REACH.format(name, site.home))
    if trouble == "frozen" and name == "sbatch" and not request["test_only"]:
        command.accept_later(request, site, clusters[0], None)
    reason = "Socket timed out on send/recv operation" if trouble == "frozen" else "Unable to contact slurm controller (connect failure)"
    return command.no_controller(request, reason) if hasattr(command, "no_controller") else _no_controller(name, reason, trouble)


def _no_controller(name, reason, trouble):
    words, code = CONTROLLER[name]
    return Answer(140 if (name, trouble) == ("scancel", "frozen") else code, "", words % reason)


def _ask_accounting(command, request, site):
    trouble = site.knobs["sacct"]
    if trouble == "down":
        return Answer(1, "", DATABASE_IS_GONE.format("sacct") + "sacct: error: Problem talking to the database: Connection refused\n")
    if trouble == "off":
        return Answer(1, "", "Slurm accounting storage is disabled\n")
    if trouble == "empty":
        return Answer(0, "", "")
    names = request["clusters"].split(",") if request["clusters"] else [site.home]
    return command.answer(request, site, [name for name in names if name in site.knobs["nodes"]])


def main():
    name, arguments = sys.argv[1], sys.argv[2:]
    if name in {"supervise", "wake"}:
        os.closerange(3, 256)  # a daemon keeps no file, and so no lock, of who submitted
        getattr(scheduling, name)(store.Site(os.environ["FAKE_SLURM"], os.environ), *arguments)
        return 0
    wants_stdin = name == "sbatch" and not sys.stdin.isatty()
    answer = run(name, arguments, dict(os.environ), os.getcwd(), sys.stdin if wants_stdin else None)
    sys.stdout.write(answer.stdout)
    sys.stderr.write(answer.stderr)
    return answer.code


if __name__ == "__main__":
    sys.exit(main())
