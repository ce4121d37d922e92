"""`squeue`."""

import re

from tests.slurm.fake import scheduling, store, times
from tests.slurm.fake.answers import Answer, NotTriedError, Option, read_all_options, table
from tests.slurm.fake.dependencies import show_dependency

OPTIONS = [
    Option("all", "a", value=False),
    Option("array", "r", value=False),
    Option("clusters", "M"),
    Option("account", "A"),
    Option("format", "o"),
    Option("jobs", "j"),
    Option("job", ""),
    Option("me", value=False),
    Option("name", "n"),
    Option("noheader", "h", value=False),
    Option("partition", "p"),
    Option("states", "t"),
    Option("user", "u"),
    Option("users", ""),
]
SHORT = table("""
    PENDING=PD RUNNING=R SUSPENDED=S COMPLETING=CG COMPLETED=CD CANCELLED=CA FAILED=F TIMEOUT=TO NODE_FAIL=NF PREEMPTED=PR
    OUT_OF_MEMORY=OOM BOOT_FAIL=BF DEADLINE=DL REVOKED=RV CONFIGURING=CF RESIZING=RS REQUEUED=RQ REQUEUE_HOLD=RH
    SIGNALING=SI SPECIAL_EXIT=SE STAGE_OUT=SO STOPPED=ST RESV_DEL_HOLD=RD REQUEUE_FED=RF
""")
VARIABLES = table("format=SQUEUE_FORMAT states=SQUEUE_STATES user=SQUEUE_USERS partition=SQUEUE_PARTITION clusters=SLURM_CLUSTERS")
DEFAULT = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"
TITLES = table("""
    i=JOBID A=JOBID F=ARRAY_JOB_ID K=ARRAY_TASK_ID j=NAME T=STATE t=ST r=REASON R=NODELIST(REASON) V=SUBMIT_TIME
    S=START_TIME e=END_TIME l=TIME_LIMIT M=TIME N=NODELIST P=PARTITION a=ACCOUNT q=QOS u=USER k=COMMENT E=DEPENDENCY D=NODES
    C=CPUS m=MIN_MEMORY Z=WORK_DIR B=EXEC_HOST L=TIME_LEFT
""")


def parse(arguments, site, cwd, stdin):
    given, words = read_all_options(OPTIONS, arguments)
    if words:
        raise NotTriedError(f"argument {words[0]}")
    from_environment = {key: site.environment[name] for key, name in VARIABLES.items() if name in site.environment}
    given = from_environment | given
    given["jobs"] = given.get("jobs") or given.get("job")
    given["user"] = site.user if given.get("me") else given.get("user") or given.get("users")
    _check_states(given.get("states"))
    return given


def _check_states(text):
    if not text or text.lower() == "all":
        return
    known = {name.upper() for pair in SHORT.items() for name in pair}
    for word in text.upper().split(","):
        if word not in known:
            valid = f"squeue: error: Valid job states include: {','.join(SHORT)}\n\n"
            raise Answer.Given(1, "", f"squeue: error: Invalid job state specified: {word.lower()}\n{valid}")


def answer(request, site, clusters):
    if site.knobs["squeue"] == "fails":
        site.wait(site.knobs["patience"])
        return Answer(1, "", "slurm_load_jobs error: Socket timed out on send/recv operation\n")
    errors = f"squeue: error: Invalid user: {request['user']}\n\n" if request["user"] not in {None, site.user, "root"} else ""
    parts = []
    for name in clusters:
        with site.cluster(name) as cluster:
            scheduling.tick(cluster, site)
            rows = show(request, cluster, site)
        header = [] if request.get("noheader") else [*([f"CLUSTER: {name}"] if request.get("clusters") else []), _title(request)]
        parts.append("".join(f"{line}\n" for line in [*header, *rows]))
    return Answer(0, ("" if request.get("noheader") else "\n").join(parts), errors)


def show(request, cluster, site):
    jobs = [job for job in visible(cluster, site) if _is_wanted(job, request)]
    if request["jobs"]:
        jobs = _by_id(request["jobs"], jobs, cluster, site)
    jobs.sort(key=lambda job: (job.partition, SHORT.get(job.state, job.state), bool(job.held), store.raw_id(job), job.task or 0))
    rows, shown = [], set()
    for job in jobs:
        line = _line(_format(request), job, cluster, site, each=bool(request.get("array")))
        group = (job.array, job.state, job.reason)
        if job.id is None and (not request.get("array") or store.is_over(job)):
            if group in shown:
                continue
            shown.add(group)
        rows.append(line)
    return rows


def visible(cluster, site):
    """What the controller still knows."""
    return [job for job in cluster.jobs if not store.is_over(job) or site.now() - job.end < site.knobs["min_job_age"]]


def _by_id(text, jobs, cluster, site):
    known, wanted, words = False, [], text.split(",")
    everything = visible(cluster, site)
    for word in words:
        try:
            number = int(word.partition("_")[0])
            wanted += store.find(cluster, word)
        except ValueError:
            raise Answer.Given(1, "", f"squeue: error: Invalid job id: {word}\n") from None
        known |= any(number in {job.id, job.array} for job in everything)
    if not known and len(words) == 1:
        raise Answer.Given(1, "", "slurm_load_jobs error: Invalid job id specified\n")
    return [job for job in jobs if job in wanted]


def _is_wanted(job, request):
    states = request.get("states")
    if not states and store.is_over(job):
        return False
    if states and states.lower() != "all" and not {job.state, SHORT.get(job.state)} & set(states.upper().split(",")):
        return False
    filters = {"name": job.name, "user": job.user, "partition": job.partition, "account": job.account}
    return all(not request.get(key) or value in request[key].split(",") for key, value in filters.items())


def _format(request):
    return request.get("format") or DEFAULT


def _title(request):
    return re.sub(r"%(\.?)(\d*)(.)", lambda match: _fit(TITLES[_known(match[3])], match[1], match[2]), _format(request))


def _known(letter):
    if letter not in TITLES:
        raise NotTriedError(f"format %{letter}")
    return letter


def _line(form, job, cluster, site, *, each):
    return re.sub(r"%(\.?)(\d*)(.)", lambda match: _fit(_value(match[3], job, cluster, site, each=each), match[1], match[2]), form)


def _fit(text, right, width):
    if not width:
        return text
    return text[: int(width)].rjust(int(width)) if right else text[: int(width)].ljust(int(width))


def _value(letter, job, cluster, site, *, each):
    known = _known(letter)
    label = store.label(job, cluster) if each else store.group_label(job, cluster)
    task = "N/A" if job.task is None else label.partition("_")[2].strip("[]") or str(job.task)
    if known in "iAFK":
        return {"i": label, "A": str(store.raw_id(job)), "F": str(job.array or job.id), "K": task}[known]
    if known in "VSe":
        return _moment(known, job, site)
    state = site.knobs["words"].get(str(store.raw_id(job)), job.state)
    plain = {
        "j": job.name,
        "T": state,
        "t": SHORT.get(state, state),
        "r": job.reason,
        "P": job.partition,
        "a": job.account,
        "q": job.qos,
        "u": job.user,
    }
    return plain[known] if known in plain else _detail(known, job, cluster, site)


def _moment(letter, job, site):
    form = site.environment.get("SLURM_TIME_FORMAT", "standard")
    start = job.start if job.start is not None else job.begin
    end = job.end if job.end is not None else scheduling.limit_end(job, site) if job.start is not None else None
    return times.show({"V": job.submit, "S": start, "e": end}[letter], "N/A", form)


def _detail(letter, job, cluster, site):
    ran = (job.end or site.now()) - job.start if job.start is not None else 0
    nodes = ",".join(job.nodes)
    return {
        "R": nodes if job.start is not None and job.state != "PENDING" else f"({job.reason})",
        "l": times.short(job.limit * 60),
        "L": times.short(max(0, job.limit * 60 - ran)),
        "M": times.short(ran),
        "N": nodes,
        "B": job.nodes[0] if job.nodes else "n/a",
        "k": job.comment or "(null)",
        "E": show_dependency(job, cluster),
        "D": str(job.node_count),
        "C": str(job.cpus * job.node_count),
        "m": f"{job.memory}M",
        "Z": job.workdir,
    }[letter]
