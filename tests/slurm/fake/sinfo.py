"""`sinfo`."""

import re

from tests.slurm.fake import scheduling, times
from tests.slurm.fake.answers import Answer, NotTriedError, Option, read_all_options, table

OPTIONS = [
    Option("clusters", "M"),
    Option("format", "o"),
    Option("noheader", "h", value=False),
    Option("Node", "N", value=False),
    Option("partition", "p"),
]
TITLES = table("""
    P=PARTITION a=AVAIL l=TIMELIMIT D=NODES t=STATE T=STATE N=NODELIST G=GRES m=MEMORY c=CPUS
""")
SHORT = {"idle": "idle", "mixed": "mix", "allocated": "alloc"}


def parse(arguments, site, cwd, stdin):
    given, words = read_all_options(OPTIONS, arguments)
    if words or "format" not in given:
        raise NotTriedError("sinfo without -o" if not words else f"argument {words[0]}")
    unknown = set(re.findall(r"%\.?\d*(.)", given["format"])) - set(TITLES)
    if unknown:
        raise NotTriedError(f"format %{unknown.pop()}")
    return given


def answer(request, site, clusters):
    lines = []
    for name in clusters:
        if request.get("clusters") and not request.get("noheader"):
            lines.append(f"CLUSTER: {name}")
        if not request.get("noheader"):
            lines.append(_fill(request["format"], TITLES))
        with site.cluster(name) as cluster:
            scheduling.tick(cluster, site)
            lines += list(_lines(request, cluster, site))
    return Answer(0, "".join(f"{line}\n" for line in lines))


def _lines(request, cluster, site):
    states = {node: _state(node, cluster, site) for node in site.knobs["nodes"][cluster.name]}
    for partition, limit in site.knobs["partitions"].items():
        if request.get("partition") not in {None, partition}:
            continue
        for group in [[node] for node in states] if request.get("Node") else _alike(states):
            state = states[group[0]]
            values = {"P": partition + ("*" if partition == "main" else ""), "a": "up", "l": times.short(limit * 60), "D": str(len(group))}
            values |= {"t": SHORT[state], "T": state, "N": _node_list(group), "G": f"gpu:{site.knobs['gpus']}"}
            yield _fill(request["format"], values | {"m": str(site.knobs["memory"]), "c": str(site.knobs["cpus"])})


def _alike(states):
    return [[node for node in states if states[node] == state] for state in SHORT if state in states.values()]


def _state(node, cluster, site):
    used = sum(job.cpus for job in cluster.jobs if job.state in scheduling.ALIVE and node in job.nodes)
    return "idle" if not used else "mixed" if used < site.knobs["cpus"] else "allocated"


def _node_list(group):
    if len(group) == 1:
        return group[0]
    return f"{group[0][0]}[{group[0][1:]}-{group[-1][1:]}]"


def _fill(form, values):
    return re.sub(r"%\.?\d*(.)", lambda match: values[match[1]], form)
