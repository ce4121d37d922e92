"""`sbatch`."""

import os
import shlex
import signal
from types import SimpleNamespace

from tests.slurm.fake import scheduling, store, times
from tests.slurm.fake.answers import Answer, NotTriedError, Option, read_options
from tests.slurm.fake.dependencies import read_dependency
from tests.slurm.fake.job_environment import exported

OPTIONS = [
    Option("account", "A", variable="SBATCH_ACCOUNT"),
    Option("array", "a", variable="SBATCH_ARRAY_INX"),
    Option("begin", "b"),
    Option("chdir", "D"),
    Option("clusters", "M", variable="SBATCH_CLUSTERS"),
    Option("comment"),
    Option("constraint", "C", variable="SBATCH_CONSTRAINT"),
    Option("cpus-per-task", "c"),
    Option("dependency", "d"),
    Option("error", "e"),
    Option("exclude", "x"),
    Option("exclusive", value=False),
    Option("export", variable="SBATCH_EXPORT"),
    Option("gpus", "G", variable="SBATCH_GPUS"),
    Option("gpus-per-node", variable="SBATCH_GPUS_PER_NODE"),
    Option("gres", variable="SBATCH_GRES"),
    Option("hold", "H", value=False),
    Option("job-name", "J", variable="SBATCH_JOB_NAME"),
    Option("kill-on-invalid-dep"),
    Option("mail-type"),
    Option("mail-user"),
    Option("mem"),
    Option("mem-per-cpu", variable="SBATCH_MEM_PER_CPU"),
    Option("nice"),
    Option("no-requeue", value=False, variable="SBATCH_NO_REQUEUE"),
    Option("nodelist", "w"),
    Option("nodes", "N"),
    Option("ntasks", "n"),
    Option("ntasks-per-node"),
    Option("open-mode", variable="SBATCH_OPEN_MODE"),
    Option("output", "o"),
    Option("parsable", value=False),
    Option("partition", "p", variable="SBATCH_PARTITION"),
    Option("qos", "q", variable="SBATCH_QOS"),
    Option("quiet", "Q", value=False),
    Option("requeue", value=False, variable="SBATCH_REQUEUE"),
    Option("signal", variable="SBATCH_SIGNAL"),
    Option("test-only", value=False),
    Option("time", "t", variable="SBATCH_TIMELIMIT"),
    Option("wrap"),
]
BY_KEY = {option.key: (None if option.value else False) for option in OPTIONS}
POLICY = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
REFUSALS = {
    "account": ["Batch job submission failed: Invalid account or account/partition combination specified"],
    "constraint": ["Batch job submission failed: Invalid feature specification"],
    "partition": ["Batch job submission failed: Invalid partition name specified"],
    "qos": ["Batch job submission failed: Invalid qos specification"],
    "nodes": ["Batch job submission failed: Requested node configuration is not available"],
    "memory": ["Memory specification can not be satisfied", "Batch job submission failed: Requested node configuration is not available"],
    "nodelist": ["Batch job submission failed: Invalid node name specified"],
    "array": ["Batch job submission failed: Invalid job array specification"],
    "dependency": ["Batch job submission failed: Job dependency problem"],
    "QOSMaxSubmitJobPerUserLimit": ["QOSMaxSubmitJobPerUserLimit", f"Batch job submission failed: {POLICY}"],
    "AssocMaxSubmitJobLimit": ["AssocMaxSubmitJobLimit", f"Batch job submission failed: {POLICY}"],
}
LEAVES_A_ROW = {"nodes", "memory"}  # of a failed job that never was
TIME_OUT = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n"
GARBLED = "sbatch: error: Batch job submission failed: Unexpected message received\n"
NO_ANSWER = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)\n"
NO_SHEBANG = (
    "This does not look like a batch script.  The first",
    "line must start with #! followed by the path to an interpreter.",
    "For instance: #!/bin/sh",
)
MAIL = {
    "NONE",
    "BEGIN",
    "END",
    "FAIL",
    "REQUEUE",
    "ALL",
    "INVALID_DEPEND",
    "STAGE_OUT",
    "TIME_LIMIT",
    "TIME_LIMIT_90",
    "TIME_LIMIT_80",
    "TIME_LIMIT_50",
    "ARRAY_TASKS",
}


def refuse(*lines, code=1):
    raise Answer.Given(code, "", "".join(f"sbatch: error: {line}\n" for line in lines))


# ---- what is asked


def parse(arguments, site, cwd, stdin):
    given, words = _read(arguments)
    name, script = _script(given, words, stdin)
    lines, _ = _read(_in_script(script))
    variables = {
        option.key: site.environment[option.variable] for option in OPTIONS if option.variable and option.variable in site.environment
    }
    clusters = {"clusters": site.environment["SLURM_CLUSTERS"]} if "SLURM_CLUSTERS" in site.environment else {}
    asked = BY_KEY | lines | clusters | variables | given
    asked |= {"script": script, "name": asked["job_name"] or name, "arguments": words[1:], "submit_dir": cwd}
    asked["export"] = asked["export"] or "ALL"
    asked["environment"] = exported(asked["export"], site.environment, site)
    return _checked(asked, site)


def _read(arguments):
    try:
        return read_options(OPTIONS, arguments)
    except NotTriedError as error:
        if str(error) == "option --nosuch":  # every version's answer to what no version has
            raise Answer.Given(255, "", "sbatch: unrecognized option '--nosuch'\nTry \"sbatch --help\" for more information\n") from None
        raise


def _script(given, words, stdin):
    """(default name of the job, text of the script)."""
    if "wrap" in given:
        return "wrap", f"#!/bin/sh\n# This script was created by sbatch --wrap.\n\n{given['wrap']}\n"
    name, text = "sbatch", ""
    if words:
        name = words[0].rpartition("/")[2]
        try:
            with open(words[0], newline="") as file:
                text = file.read()
        except OSError:
            refuse(f"Unable to open file {words[0]}")
    elif stdin is not None:
        text = stdin.read()
    if not text:
        refuse("Batch script is empty!")
    if not text.strip():
        refuse("Batch script contains only whitespace!")
    if not text.startswith("#!"):
        refuse(*NO_SHEBANG)
    if "\r\n" in text:
        refuse("Batch script contains DOS line breaks (\\r\\n)", "instead of expected UNIX line breaks (\\n).")
    return name, text


def _in_script(text):
    """The options on #SBATCH lines; they end where the commands begin."""
    words = []
    for line in text.splitlines()[1:]:
        if line.startswith("#SBATCH "):
            words += shlex.split(line[len("#SBATCH ") :], comments=True)
        elif line.strip() and not line.lstrip().startswith("#"):
            break
    return words


def _checked(asked, site):
    """Values that sbatch itself refuses, before it asks anyone; with what follows from them."""
    try:
        asked["limit"] = times.minutes(asked["time"]) if asked["time"] else None
    except ValueError:
        refuse("Invalid --time specification", code=255)
    try:
        asked["megabytes"] = times.megabytes(asked["mem"]) if asked["mem"] else None
    except ValueError:
        refuse("Invalid --mem specification", code=255)
    if asked["mail_type"] and not set(asked["mail_type"].upper().split(",")) <= MAIL:
        refuse("Invalid --mail-type specification", code=255)
    if asked["begin"]:
        try:
            asked["begin"] = times.moment(asked["begin"], site.now())
        except ValueError:
            raise Answer.Given(
                255, "", f"Invalid time specification (pos=0): {asked['begin']}\nsbatch: error: Invalid --begin specification\n"
            ) from None
    asked["gpus_a_node"], asked["gpus_in_all"] = _gpus(asked)
    return asked


def _gpus(asked):
    """(GPUs a node, GPUs in all); -1 stands for a type that no node has."""
    if asked["gres"] and asked["gres"].partition(":")[0] not in {"gpu", "none"}:
        refuse("Invalid generic resource (gres) specification")
    a_node = _count(asked["gres"].removeprefix("gpu").lstrip(":") if asked["gres"] else asked["gpus_per_node"])
    return a_node, _count(asked["gpus"])


def _count(text):
    if text in {None, "none"}:
        return 0
    kind, _, number = text.rpartition(":")
    return -1 if kind or (number and not number.isdigit()) else int(number or 1)


# ---- what is answered


def answer(request, site, clusters):
    name = clusters[0]
    with site.cluster(name) as cluster:
        scheduling.tick(cluster, site)
        if request["test_only"]:
            return _test(request, cluster, site)
    behaviour = _next_behaviour(site)
    if behaviour in REFUSALS:
        refuse(*REFUSALS[behaviour])
    if behaviour == "connect":
        return Answer(1, "", NO_ANSWER)
    if behaviour == "late":
        accept_later(request, site, name, site.now() + site.knobs["late_seconds"])
    if behaviour in {"late", "timeout"}:
        return Answer(1, "", TIME_OUT)
    with site.cluster(name) as cluster:
        number = enter(request, cluster, site)
        scheduling.tick(cluster, site)
    if behaviour in {"lost", "garbled"}:
        return Answer(1, "", TIME_OUT if behaviour == "lost" else GARBLED)
    if request["parsable"]:
        return Answer(0, f"{number};{name}\n" if request["clusters"] else f"{number}\n")
    return Answer(0, f"Submitted batch job {number}" + (f" on cluster {name}" if request["clusters"] else "") + "\n")


def _next_behaviour(site):
    """Each behaviour is met once, also by submissions at the same time."""
    met = ["ok"]

    def take_the_first(knobs):
        behaviours = knobs["sbatch"]
        met[:] = behaviours[:1] or met
        return {} if behaviours[1:] == ["..."] else {"sbatch": behaviours[1:]}

    site.change_knobs(take_the_first)
    if met[0] not in {"ok", "lost", "garbled", "late", "timeout", "connect", *REFUSALS}:
        raise NotTriedError(f"behaviour {met[0]}")
    return met[0]


def accept_later(request, site, cluster_name, moment):
    """Keep a submission until a moment, or until the controller is there again (None)."""
    with site.cluster(cluster_name) as cluster:
        cluster.inbox.append({"time": moment, "request": request})
        if moment is not None:
            scheduling.wake_at(site, cluster, moment)


def no_controller(request, reason):
    words = "allocation failure: " if request["test_only"] else "sbatch: error: Batch job submission failed: "
    return Answer(1, "", f"{words}{reason}\n")


def _test(request, cluster, site):
    number = scheduling.next_id(cluster)  # it costs a number, and so does a refusal
    problem = _problem(request, cluster, site)
    if problem:
        *before, last = REFUSALS[problem]
        words = "".join(f"sbatch: error: {line}\n" for line in _before(request, problem, before))
        return Answer(1, "", words + last.replace("Batch job submission failed", "allocation failure") + "\n")
    partition, nodes = request["partition"] or "main", site.knobs["nodes"][cluster.name]
    start = times.show(site.now())
    return Answer(
        0,
        "",
        f"sbatch: Job {number} to start at {start} using {request['cpus_per_task'] or 1} processors on nodes {nodes[0]} in partition {partition}\n",
    )


def _before(request, problem, lines):
    return [f"invalid partition specified: {request['partition']}", *lines] if problem == "partition" else lines


def enter(request, cluster, site):
    """Take a submission into the queue; its number. A refusal is answered."""
    number = scheduling.next_id(cluster)
    problem = _problem(request, cluster, site)
    if problem:
        if problem in LEAVES_A_ROW:
            row = _job(request, cluster, site, number)
            vars(row).update(state="FAILED", exit="1:0", reason="BadConstraints", start=row.submit, end=row.submit, rejected=True)
            cluster.jobs.append(row)
        refuse(*_before(request, problem, REFUSALS[problem]))
    tasks = _tasks(request, site)
    if not tasks:
        cluster.jobs.append(_job(request, cluster, site, number))
    for task in tasks:
        cluster.jobs.append(_job(request, cluster, site, None, array=number, task=task, tasks=tasks))
    if request["begin"]:
        scheduling.wake_at(site, cluster, request["begin"])
    return number


def _problem(request, cluster, site):
    """The key of REFUSALS that applies, or None."""
    knobs = site.knobs
    qos, submitted = request["qos"] or "normal", 1
    checks = {
        "partition": (request["partition"] or "main") not in knobs["partitions"],
        "account": (request["account"] or "lab") not in knobs["accounts"],
        "qos": qos not in knobs["qos"],
        "constraint": request["constraint"] is not None,
        "nodelist": bool(request["nodelist"]) and not set(request["nodelist"].split(",")) <= set(knobs["nodes"][cluster.name]),
        "dependency": not _can_wait(request["dependency"], cluster, site),
    }
    for problem, applies in checks.items():
        if applies:
            return problem
    try:
        submitted = len(_tasks(request, site)) or 1
    except ValueError:
        return "array"
    if (request["megabytes"] or 0) > knobs["memory"]:
        return "memory"
    gpus, in_all = request["gpus_a_node"], request["gpus_in_all"]
    if -1 in {gpus, in_all} or gpus > knobs["gpus"] or in_all > knobs["gpus"] * len(knobs["nodes"][cluster.name]):
        return "nodes"
    limit = knobs["qos"][qos]
    here = sum(not store.is_over(job) and job.qos == qos for job in cluster.jobs)
    return "QOSMaxSubmitJobPerUserLimit" if limit is not None and here + submitted > limit else None


def _can_wait(text, cluster, site):
    dependency = read_dependency(text)
    if dependency is None or site.knobs["unknown_parent"] == "done":
        return dependency is not None
    known = [job for job in cluster.jobs if not store.is_over(job) or site.now() - job.end < site.knobs["min_job_age"]]
    return all(any(job in known for job in store.find(cluster, number)) for _, ids in dependency["parts"] for number in ids)


def _tasks(request, site):
    """The task numbers of an array. Raises ValueError where SLURM refuses them."""
    if not request["array"]:
        return []
    tasks = sorted(set(store.read_ranges(request["array"].partition("%")[0])))
    if tasks[-1] >= site.knobs["max_array"] or tasks[0] < 0:
        raise ValueError(request["array"])
    return tasks


def _job(request, cluster, site, number, *, array=None, task=None, tasks=()):
    key, cluster.next_key = cluster.next_key, cluster.next_key + 1
    workdir = os.path.join(request["submit_dir"], request["chdir"] or "")
    workdir = workdir.rstrip("/") or "/"
    default = "slurm-%A_%a.out" if tasks else "slurm-%j.out"
    job = {
        "key": key,
        "name": request["name"],
        "user": site.user,
        "account": request["account"] or "lab",
        "partition": request["partition"] or "main",
        "qos": request["qos"] or "normal",
        "comment": request["comment"],
        "submit": site.now(),
        "eligible": None,
        "begin": request["begin"],
        "held": "user" if request["hold"] else None,
        "dependency": read_dependency(request["dependency"]),
        "kill_on_invalid_dep": request["kill_on_invalid_dep"] == "yes",
        "can_requeue": not request["no_requeue"] or request["requeue"],
        "limit": request["limit"] or min(5, site.knobs["partitions"].get(request["partition"] or "main", 5)),
        "end_by": None,
        "warning": _warning(request["signal"]),
        "export": request["export"],
        "environment": request["environment"],
        "submit_dir": request["submit_dir"],
        "workdir": workdir,
        "asked_output": request["output"] or default,
        "asked_error": request["error"],
        "open_mode": request["open_mode"],
        "arguments": request["arguments"],
        "script": _keep_script(request["script"], cluster, site, key),
    }
    job |= _resources(request, site)
    if array is not None:
        job |= {
            "array": array,
            "task": task,
            "throttle": int(request["array"].partition("%")[2] or 0),
            "array_environment": _of_array(tasks),
        }
    return SimpleNamespace(**(store.JOB | {"id": number} | job))


def _of_array(tasks):
    step = tasks[1] - tasks[0] if len(tasks) > 1 else 1
    values = {"COUNT": len(tasks), "MAX": tasks[-1], "MIN": tasks[0], "STEP": step}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


def _resources(request, site):
    """For each of its nodes; as for SLURM, a node is where all of a job's tasks fit."""
    a_task, tasks = int(request["cpus_per_task"] or 1), int(request["ntasks"] or request["ntasks_per_node"] or 1)
    gpus = request["gpus_a_node"] or request["gpus_in_all"]
    nodes = int(
        request["nodes"]
        or max(-(-tasks * a_task // site.knobs["cpus"]) if a_task <= site.knobs["cpus"] else 1, -(-gpus // site.knobs["gpus"]), 1)
    )
    cpus = site.knobs["cpus"] if request["exclusive"] else -(-tasks // nodes) * a_task
    per_cpu = times.megabytes(request["mem_per_cpu"]) if request["mem_per_cpu"] else 100
    return {
        "node_count": nodes,
        "cpus": cpus,
        "memory": request["megabytes"] or min(cpus * per_cpu, site.knobs["memory"]),
        "gpus": request["gpus_a_node"] or -(-gpus // nodes),
    }


def _warning(text):
    """`--signal=B:USR1@60`. Without B: it goes to job steps, of which the fake has none."""
    if not text or not text.startswith("B:"):
        return None
    name, _, seconds = text[2:].partition("@")
    number = int(name) if name.isdigit() else getattr(signal, f"SIG{name.removeprefix('SIG')}")
    return {"signal": int(number), "seconds": int(seconds or 60)}


def _keep_script(text, cluster, site, key):
    os.makedirs(f"{site.folder}/scripts", exist_ok=True)
    path = f"{site.folder}/scripts/{cluster.name}-{key}"
    with open(path, "w", newline="") as file:
        file.write(text)
    os.chmod(path, 0o755)
    return path
