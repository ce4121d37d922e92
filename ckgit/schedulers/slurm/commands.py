"""SLURM's command lines, and the environment they are called in. Pure.

What the user's shell says to SLURM is not for ckgit: SQUEUE_PARTITION would hide jobs, SBATCH_ACCOUNT would charge another
account, and inside an salloc SLURM_JOB_ID and its like would leak into each job.
"""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from ckgit.experiment.cluster import Cluster, gpu_request
from ckgit.experiment.design.compute import Resources

# The name is last: the user's other jobs may have any name. Each is ended by a separator that no other field holds.
QUEUE_FORMAT = "%A|%F|%K|%T|%V|%S|%l|%r|%j"
ACCOUNT_FIELDS = ("JobIDRaw", "JobID", "State", "ExitCode", "Submit", "Start", "End", "Elapsed", "JobName")
USAGE_FIELDS = (*ACCOUNT_FIELDS[:-1], "AllocTRES", "TotalCPU", "MaxRSS", "NodeList", ACCOUNT_FIELDS[-1])
# No secret of the user's shell reaches the job or the accounting database.
EXPORT = "PATH,HOME,USER,LC_ALL=C.UTF-8"

_FOR_OTHERS = ("SBATCH_", "SQUEUE_", "SACCT_", "SCANCEL_", "SLURM_")
_PINNED = {"LC_ALL": "C"}
# Times as seconds since 1970 depend on no time zone. Without a length, the tasks of an array end after 64 characters with `...`.
_PINNED_WHERE_READ = {"LC_ALL": "C", "SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0"}


class BatchOptions(NamedTuple):
    """One sbatch: a job, or an array of them."""

    name: str  # the job's token, or the array's name
    script: str  # relative to the work tree
    output: str  # likewise; SLURM's own patterns are allowed
    indices: Sequence[int] = ()  # of the tasks; none for a job of its own
    resources: Resources | None = None  # where they are not those of the script
    asked: Resources | None = None  # what a job asks for, in its script or here
    after: Sequence[str] = ()
    after_any: bool = False
    if_failed: bool = False
    delay: float = 0.0  # seconds


def environment(cluster: Cluster, program: str, ours: Mapping[str, str], programs: str) -> dict[str, str]:
    """What a SLURM command is given of our environment.

    Args:
        programs: folder of the Python that runs ckgit. A job finds ckgit there; not so where commands are called elsewhere.
    """
    kept = {name: value for name, value in ours.items() if name == "SLURM_CONF" or not name.startswith(_FOR_OTHERS)}
    if not cluster.command_prefix:
        kept["PATH"] = os.pathsep.join([programs, kept.get("PATH", os.defpath)])
    return {**kept, **_pinned(program)}


def whole(cluster: Cluster, words: Sequence[str]) -> list[str]:
    """A SLURM command as it is called: with the profile's prefix, and pinned by a shell there, as our environment ends here."""
    if not cluster.command_prefix:
        return list(words)
    others = " ".join(f"${{!{prefix}*}}" for prefix in _FOR_OTHERS)
    pins = " ".join(f"{name}={value}" for name, value in _pinned(words[0]).items())
    script = f'for name in {others}; do [ "$name" = SLURM_CONF ] || unset "$name"; done; export {pins}; exec "$@"'
    return prefixed(cluster, ["bash", "-c", script, *words[:1], *words])


def _pinned(program: str) -> Mapping[str, str]:
    return _PINNED_WHERE_READ if program in {"squeue", "sacct"} else _PINNED


def prefixed(cluster: Cluster, words: Sequence[str]) -> list[str]:
    """A command behind the profile's prefix. ssh joins its words for a shell, which must not take them apart again."""
    over_ssh = any(PurePath(word).name == "ssh" for word in cluster.command_prefix)
    return [*cluster.command_prefix, *([shlex.join(words)] if over_ssh else words)]


def sbatch(cluster: Cluster, work: Path, batch: BatchOptions) -> list[str]:
    """The command that hands a job or an array over."""
    # `?` is SLURM's "or". It cannot be mixed with `,`, and singleton would hold at once: the unique token and the claim must do.
    between = "?" if batch.after_any else ","
    kind = "afternotok" if batch.if_failed else "afterany"
    dependency = between.join(f"{kind}:{job_id}" for job_id in batch.after) or "singleton"
    return [
        *_program("sbatch", cluster),
        "--parsable",
        f"--job-name={batch.name}",
        f"--dependency={dependency}",
        f"--export={EXPORT}",
        f"--chdir={work}",
        f"--output={batch.output}",
        "--open-mode=append",
        "--requeue",
        *(["--kill-on-invalid-dep=yes"] if batch.if_failed else []),
        *([f"--begin=now+{math.ceil(batch.delay)}"] if batch.delay else []),
        *(resource_options(batch.resources, cluster.with_own_options) if batch.resources else []),
        *_own_options(cluster, None if batch.resources else batch.asked),
        *([f"--array={','.join(map(str, batch.indices))}"] if batch.indices else []),
        str(work / batch.script),
    ]


def sbatch_test_only(command: Sequence[str]) -> list[str]:
    """The same sbatch, asked what it would do; it reads the script from standard input, as there may be no file of it yet."""
    return [*command[:-1], "--test-only"]


def resource_options(resources: Resources, cluster: Cluster) -> list[str]:
    """Options that win over the script's own #SBATCH lines."""
    asked = {"time": resources.time, "mem": resources.mem, "cpus-per-task": resources.cpus_per_task}
    options = [f"--{name}={value}" for name, value in asked.items() if value is not None]
    return [*options, *([] if resources.gpus is None else [gpu_request(resources, cluster)])]


def _own_options(cluster: Cluster, wanted: Resources | None) -> list[str]:
    """What the profile has from the configuration of who hands the job over; options win over the script's own #SBATCH lines.

    Args:
        wanted: what the script asks for, where no other option does.
    """
    own, asked = cluster.own.options, cluster.with_own_options
    named = [name for name in ("account", "partition", "qos", "constraint") if name in own]
    named += ["mail_user", "mail_type"] if asked.mail_user and own.keys() & {"mail_user", "mail_type"} else []
    options = [f"--{name.replace('_', '-')}={getattr(asked, name)}" for name in named]
    return [*options, *([gpu_request(wanted, asked)] if wanted and wanted.gpus and "gpu_type" in own else [])]


def squeue(cluster: Cluster) -> list[str]:
    """All of the user's jobs, in hidden partitions, too. The header stays: only with it is an empty queue an answer."""
    return [*_program("squeue", cluster), "--me", "--all", "--states=all", "--array", f"--format={QUEUE_FORMAT}"]


def sacct(
    cluster: Cluster, fields: Sequence[str], since: int, *, ids: Sequence[str] = (), names: Sequence[str] = (), whole: bool = False
) -> list[str]:
    """What accounting knows of jobs.

    Args:
        since: how many seconds ago the first of them was submitted; without it sacct begins at midnight.
        ids: of the jobs or arrays.
        names: instead of `ids`, where those are not known.
        whole: with their steps, which carry the memory, and with what they were before they were queued again.
    """
    chosen = [f"--jobs={','.join(ids)}"] if ids else [f"--name={','.join(names)}"]
    options = ["--duplicates" if whole else "--allocations", "--noheader", "--parsable2", f"--starttime=now-{since}"]
    return [*_program("sacct", cluster), *options, f"--format={','.join(fields)}", *chosen]


def scancel(cluster: Cluster, ids: Sequence[str], name: str = "") -> list[str]:
    """End jobs; of a name, those among them that have it."""
    return [*_program("scancel", cluster), *([f"--name={name}"] if name else []), *ids]


def sinfo(cluster: Cluster, partition: str) -> list[str]:
    """Whether a partition is there, and up."""
    return [*_program("sinfo", cluster), "-h", "-p", partition, "-o", "%a"]


def array_script(first: str, scripts: Mapping[int, str]) -> str:
    """The script of an array: each task becomes the job script of its index, under its own token.

    Args:
        first: text of the first task's script, whose #SBATCH lines hold for all.
        scripts: path of each task's script, relative to the work tree, by index.
    """
    paths = [f"  [{index}]={shlex.quote(path)}" for index, path in scripts.items()]
    lines = [
        "#!/bin/bash",
        *(line for line in first.splitlines() if line.startswith("#SBATCH ")),
        "scripts=(",
        *paths,
        ")",
        'export CKGIT_JOB="${SLURM_JOB_NAME}_$SLURM_ARRAY_TASK_ID"',
        'exec bash "${scripts[SLURM_ARRAY_TASK_ID]}"',
    ]
    return "\n".join(lines) + "\n"


def _program(name: str, cluster: Cluster) -> list[str]:
    return [name, *([f"--clusters={cluster.slurm_cluster}"] if cluster.slurm_cluster else [])]
