"""Leaving an experiment to its cluster: a small job of ours that starts when others have ended, and advances it.

Its token stands in the ledger, so that everyone knows who goes on. Each such job hands over to the next one until the
wanted state is reached; one whose token is not in the ledger any more has been replaced, and does nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design import Stage
from ckgit.experiment.errors import CkgitError, Exit
from ckgit.experiment.jobs import Attempt, Detached, Ledger, Phase
from ckgit.experiment.state import State
from ckgit.experiment.worker import Seen, Sighting, Submission
from ckgit.orchestrators.attempts import new_token
from ckgit.orchestrators.collect import job_files
from ckgit.orchestrators.plugins import scheduler_for
from ckgit.orchestrators.standing import Standing
from ckgit.workers.script import job_script

_ALIVE = (Seen.QUEUED, Seen.RUNNING, Seen.UNKNOWN)


def detached_of(experiment: str, to: State | None, time: str) -> Detached | None:
    """The intent to have a job go on with an experiment up to a state; none without a state."""
    return Detached(token=new_token(experiment, "advance", 1), to=to, submitted=time) if to else None


def check_detachable(cluster: Cluster) -> None:
    """Raise where the scheduler of a cluster cannot start a job when others have ended."""
    if not scheduler_for(cluster).detaches:
        raise CkgitError(
            f"scheduler {cluster.scheduler} cannot go on by itself when jobs have ended",
            code=Exit.USAGE,
            state="nothing was changed",
            next="leave out --detach: advance waits, and Ctrl-C leaves the jobs running",
        )


def see(standing: Standing, ledger: Ledger) -> Sighting:
    """What the scheduler knows of the job that is to go on."""
    attempt = _attempt(ledger.detached)
    cluster = standing.context.cluster
    return scheduler_for(cluster).poll(cluster, Path(ledger.work_tree), [attempt]).sightings[attempt.token]


def is_alive(sighting: Sighting) -> bool:
    """Whether it will still go on, as far as is known."""
    return sighting.seen in _ALIVE


def hand_over(standing: Standing, ledger: Ledger, after: Sequence[str], *, any_of: bool) -> Sighting:
    """Submit the job that the ledger names.

    Args:
        after: ids of the jobs that it waits for.
        any_of: whether the end of one of them is enough.
    """
    detached, cluster, work = ledger.detached, standing.context.cluster, Path(ledger.work_tree)
    if not detached:
        raise ValueError("the ledger names no job that goes on")
    folder = job_files(work, detached.token)
    script = folder / "advance.slurm"
    folder.mkdir(parents=True, exist_ok=True)
    script.write_bytes(_script(standing, detached, str(script.relative_to(work))))
    output = str((folder / "output").relative_to(work))
    submission = Submission(detached.token, str(script.relative_to(work)), output, cluster.advance, after=after, after_any=any_of)
    return scheduler_for(cluster).submit(cluster, work, [submission])[detached.token]


def end_detached(standing: Standing, ledger: Ledger) -> None:
    """End the job that the ledger names: someone else goes on, or nobody is to."""
    if ledger.detached and ledger.work_tree:
        cluster = standing.context.cluster
        scheduler_for(cluster).cancel(cluster, Path(ledger.work_tree), [_attempt(ledger.detached)])


def _attempt(detached: Detached | None) -> Attempt:
    """The job as schedulers are asked for one."""
    if not detached:
        raise ValueError("the ledger names no job that goes on")
    return Attempt(
        job="advance",
        stage=Stage.EVALUATION,
        number=1,
        token=detached.token,
        script_sha256="",
        phase=Phase.SUBMITTED,
        submitted=detached.submitted,
    )


def _script(standing: Standing, detached: Detached, path: str) -> bytes:
    site = standing.context.cluster.model_copy(update={"container": ()})  # SLURM's commands are on its nodes, not in the image
    command = ("ckgit", "-C", str(standing.lab.root), "advance", standing.name, "--to", str(detached.to), "--detach")
    return job_script(
        title=f"Takes experiment {standing.name} on to {detached.to}.",
        script=path,
        resources=site.advance,
        cluster=site,
        inputs={},
        programs=("ckgit", "git"),
        commands=((*command, "--as", detached.token),),
    )
