"""Whether SLURM answers here as ckgit will ask it: one line for each of its commands. Nothing is submitted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ckgit.errors import CkgitError
from ckgit.experiment.cluster import Cluster
from ckgit.schedulers.slurm import commands
from ckgit.schedulers.slurm.call import call
from ckgit.schedulers.slurm.parsers import is_accounting_off
from ckgit.schedulers.slurm.queries import NoAnswer, ask_queue

_RECENT = 60  # seconds that accounting is asked about


class SlurmAnswer(NamedTuple):
    """What one question came to."""

    what: str
    fault: str  # what is wrong; empty where nothing is
    serious: bool = True  # whether jobs cannot run so
    mend: str = ""


def health(cluster: Cluster) -> Iterator[SlurmAnswer]:
    """Ask for the queue, accounting, and the partitions of a profile."""
    try:
        yield SlurmAnswer(f"squeue answers; {len(ask_queue(cluster))} jobs of yours are in the queue", "")
    except NoAnswer as error:
        yield SlurmAnswer("squeue", f"it does not answer: {error}", mend="squeue --me shows whether SLURM is up")
        return
    except CkgitError as error:
        yield SlurmAnswer("squeue", error.what, mend=error.next)
        return
    yield _accounting(cluster)
    for partition in (cluster.with_own_options.partition or "").split(","):
        if partition:
            yield _partition(cluster, partition)


def _accounting(cluster: Cluster) -> SlurmAnswer:
    off = "how jobs ended and what they took is then told by their own files alone"
    try:
        answer = call(cluster, commands.sacct(cluster, commands.ACCOUNT_FIELDS, _RECENT, names=["ckgit.none"]))
    except CkgitError as error:
        return SlurmAnswer("sacct", f"{error.what}; {off}", serious=False, mend=error.next)
    if is_accounting_off(answer):
        return SlurmAnswer("sacct", f"SLURM keeps no accounting here; {off}", serious=False, mend="ask whoever runs the cluster")
    if answer.code != 0:
        return SlurmAnswer("sacct", f"it does not answer: {answer.words}", serious=False, mend="sacct -X shows what it says")
    return SlurmAnswer("sacct answers", "")


def _partition(cluster: Cluster, name: str) -> SlurmAnswer:
    try:
        answer = call(cluster, commands.sinfo(cluster, name))
    except CkgitError as error:
        return SlurmAnswer(f"partition {name}", error.what, serious=False, mend=error.next)
    if answer.code != 0:
        return SlurmAnswer(f"partition {name}", f"sinfo: {answer.words}", serious=False, mend="sinfo shows what there is")
    states = answer.out.split()
    mend = "sinfo lists the partitions; mend partition of the profile in ckgit.toml"
    if not states:
        return SlurmAnswer(f"partition {name}", f"there is no partition {name}", mend=mend)
    if "up" not in states:
        return SlurmAnswer(f"partition {name}", f"partition {name} is {states[0]}", serious=False, mend=mend)
    return SlurmAnswer(f"partition {name} is up", "")
