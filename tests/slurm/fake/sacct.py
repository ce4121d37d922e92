"""`sacct`."""

from types import SimpleNamespace

from tests.slurm.fake import scheduling, store, times
from tests.slurm.fake.answers import Answer, NotTriedError, Option, read_all_options

OPTIONS = [
    Option("allclusters", "L", value=False),
    Option("allocations", "X", value=False),
    Option("clusters", "M"),
    Option("duplicates", "D", value=False),
    Option("endtime", "E"),
    Option("format", "o"),
    Option("jobs", "j"),
    Option("name"),
    Option("noheader", "n", value=False),
    Option("parsable2", "P", value=False),
    Option("starttime", "S"),
    Option("user", "u"),
    Option("allusers", "a", value=False),
]
FIELDS = (
    *("Account", "AllocCPUS", "AllocTRES", "Cluster", "CPUTimeRAW", "Elapsed", "ElapsedRaw", "Eligible", "End", "ExitCode"),
    *("JobID", "JobIDRaw", "JobName", "MaxRSS", "NNodes", "NodeList", "Partition", "QOS", "Reason", "ReqMem", "ReqTRES", "Start", "State"),
    *("Submit", "Timelimit", "TimelimitRaw", "TotalCPU", "User", "WorkDir"),
)
NOT_OF_STEPS = ("Partition", "QOS", "User", "ReqMem", "ReqTRES", "Reason", "Timelimit", "TimelimitRaw", "WorkDir")
DEFAULT = "JobID,JobName,Partition,Account,AllocCPUS,State,ExitCode"


def parse(arguments, site, cwd, stdin):
    given, words = read_all_options(OPTIONS, arguments)
    if words:
        raise NotTriedError(f"argument {words[0]}")
    if "parsable2" not in given:
        raise NotTriedError("tables without -P")
    names = given.get("format") or site.environment.get("SACCT_FORMAT") or DEFAULT
    given["fields"] = [_field(name.partition("%")[0]) for name in names.split(",")]
    given["clusters"] = (
        ",".join(site.knobs["nodes"]) if given.get("allclusters") else given.get("clusters") or site.environment.get("SLURM_CLUSTERS")
    )
    given["from"] = _moment(given.get("starttime"), site, None if given.get("jobs") else times.midnight(site.now()))
    given["to"] = _moment(given.get("endtime"), site, site.now() + 1)
    return given


def _field(name):
    for field in FIELDS:
        if field.lower() == name.lower():
            return field
    if name == "Nosuch":
        raise Answer.Given(1, "", f'sacct: error: Invalid field requested: "{name}"\n')
    raise NotTriedError(f"field {name}")  # it may be one that comes and goes with versions, as Reserved and Planned do


def _moment(text, site, default):
    if not text:
        return default
    try:
        return times.moment(text, site.now())
    except ValueError:
        raise Answer.Given(1, "", f"Invalid time specification (pos=0): {text}\n") from None


def answer(request, site, clusters):
    lines = [] if request.get("noheader") else ["|".join(request["fields"])]
    for name in clusters:
        with site.cluster(name) as cluster:
            scheduling.tick(cluster, site)
            for row in _rows(request, cluster, site):
                values = _values(row, cluster, site)
                lines.append("|".join(values[field] for field in request["fields"]))
    return Answer(0, "".join(f"{line}\n" for line in lines))


def _rows(request, cluster, site):
    shown = set()
    for job in _wanted(request, cluster):
        group = (job.array, job.state, job.reason)
        if job.id is None and group in shown:
            continue
        shown.add(group)
        incarnations = [SimpleNamespace(**past) for past in job.history] if request.get("duplicates") else []
        for row in [*incarnations, job]:
            if _is_in_time(row, request, site) and all(
                value in (request.get(key) or value).split(",") for key, value in (("name", row.name), ("user", row.user))
            ):
                yield row
                if row.start is not None and not row.rejected and "allocations" not in request:
                    yield SimpleNamespace(**(vars(row) | {"step": "batch"}))


def _wanted(request, cluster):
    if not request.get("jobs"):
        return cluster.jobs
    wanted = []
    for word in request["jobs"].split(","):
        try:
            wanted += store.find(cluster, word)
        except ValueError:
            raise Answer.Given(1, "", f"sacct: fatal: Bad job/step specified: {word}\n") from None
    return [job for job in cluster.jobs if job in wanted]


def _is_in_time(job, request, site):
    lag = site.knobs["sacct_lag"]
    if lag and site.now() - job.submit < lag * (0.1 if request.get("jobs") else 1):
        return False
    if request.get("jobs") and not request.get("starttime"):
        return True
    begin = job.eligible if job.eligible is not None else job.start
    if begin is None and request.get("jobs"):
        return True  # asked for by its id, one that was cancelled before it could start is there
    return begin is not None and begin <= request["to"] and (job.end is None or job.end >= request["from"])


def _values(job, cluster, site):
    lag = site.knobs["sacct_lag"]
    if lag and site.now() - job.submit < lag:  # wrong before it is right
        unknown = {"name": "allocation", "workdir": "", "state": "PENDING", "start": None, "end": None, "exit": "0:0"}
        job = SimpleNamespace(**(vars(job) | unknown))
    step = getattr(job, "step", None)
    ran = int(job.end or site.now()) - int(job.start) if job.start is not None else 0
    cpus, gpus = job.cpus * job.node_count, f",gres/gpu={job.gpus * job.node_count}" if job.gpus else ""
    resources = f"billing={cpus},cpu={cpus}{gpus},mem={job.memory * job.node_count}M,node={job.node_count}"
    form = site.environment.get("SLURM_TIME_FORMAT", "standard")

    def moment(seconds, none="N/A"):
        return times.show(seconds, none, form)

    values = {
        "Account": job.account,
        "AllocCPUS": str(cpus),
        "AllocTRES": resources if job.start is not None else "",
        "Cluster": cluster.name,
        "CPUTimeRAW": str(ran * cpus),
        "Elapsed": times.elapsed(ran),
        "ElapsedRaw": str(ran),
        "Eligible": moment(job.eligible, "Unknown"),
        "End": moment(job.end, "Unknown"),
        "ExitCode": job.exit,
        "JobID": store.group_label(job, cluster),
        "JobIDRaw": str(store.raw_id(job)),
        "JobName": job.name,
        "MaxRSS": "",
        "NNodes": str(job.node_count),
        "NodeList": ",".join(job.nodes) or "None assigned",
        "Partition": job.partition,
        "QOS": job.qos,
        "Reason": job.reason,
        "ReqMem": f"{job.memory * job.node_count}M",
        "ReqTRES": resources,
        "Start": moment(job.start, "None" if store.is_over(job) else "Unknown"),
        "State": _state(job, site),
        "Submit": moment(job.submit),
        "Timelimit": times.elapsed(job.limit * 60),
        "TimelimitRaw": str(job.limit),
        "TotalCPU": "00:00:00",
        "User": job.user,
        "WorkDir": job.workdir,
    }
    return values if step is None else values | _of_step(job, values)


def _state(job, site):
    word = site.knobs["words"].get(str(store.raw_id(job)), job.state)
    if word == "COMPLETING":
        return "RUNNING"
    return f"CANCELLED by {job.by}" if word == "CANCELLED" and job.by is not None else word


def _of_step(job, values):
    """Its state is not the job's: the shell of a job that was ended is always CANCELLED."""
    same = job.state in {"COMPLETED", "FAILED", "OUT_OF_MEMORY", "RUNNING"} and not job.exit.startswith("0:9")
    return dict.fromkeys(NOT_OF_STEPS, "") | {
        "JobID": f"{values['JobID']}.batch",
        "JobIDRaw": f"{values['JobIDRaw']}.batch",
        "JobName": "batch",
        "State": job.state if same else "CANCELLED",
        "ExitCode": job.exit if same or job.exit != "0:0" else "0:15",
        "MaxRSS": f"{job.maxrss}K" if job.end and job.maxrss else "",
    }
