"""Leaving an experiment to its cluster: a small job of ours that starts when others have ended, and advances it.

Its token stands in the ledger, so that everyone knows who goes on. Each such job names the next one in a commit, hands it over
and ends, until the wanted state is reached. One whose token is not in the ledger any more has been replaced, and does nothing;
but as long as the next one was certainly not handed over, the one that named it goes on, killed and started again in between.
With each goes a stand-in that starts only where it fails: killed, out of time, or because someone else moved the branch.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from ckgit.experiment.cluster import Cluster
from ckgit.experiment.jobs import Detached
from ckgit.experiment.scheduler import JobState, JobStatus, PollResult, Submission
from ckgit.jobs.folder import job_folder
from ckgit.jobs.script import job_script
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.plugins import scheduler_for

_ALIVE = (JobState.QUEUED, JobState.RUNNING)


def look_at(detached: Detached, cluster: Cluster, work: Path) -> PollResult:
    """What the scheduler knows of the job that is to go on, or of its stand-in once that has its place."""
    attempts = detached.attempts
    polled = scheduler_for(cluster).poll(cluster, work, attempts)
    itself, stand_in = (polled.statuses[attempt.token] for attempt in attempts)
    found = stand_in if itself.state is JobState.GONE and stand_in.state in _ALIVE else itself
    return polled._replace(statuses={detached.token: found})


def is_alive(job_status: JobStatus) -> bool:
    """Whether it will still go on."""
    return job_status.state in _ALIVE


def hand_over(view: ExperimentView, detached: Detached, work: Path, after: Sequence[str], *, any_of: bool, delay: float) -> JobStatus:
    """Submit the job that the ledger names.

    Args:
        after: ids of the jobs that it waits for.
        any_of: whether the end of one of them is enough.
        delay: seconds before it may start.
    """
    submission = _submission(view, detached, detached.token, work)._replace(after=after, after_any=any_of, delay=delay)
    cluster = view.context.cluster
    return scheduler_for(cluster).submit(cluster, work, [submission])[detached.token]


def secure(view: ExperimentView, detached: Detached, work: Path, job_id: str) -> None:
    """Submit the stand-in of a job that was handed over. Where it is not taken, there is none."""
    submission = _submission(view, detached, detached.stand_in, work)._replace(after=[job_id], if_failed=True)
    cluster = view.context.cluster
    scheduler_for(cluster).submit(cluster, work, [submission])


def _submission(view: ExperimentView, detached: Detached, token: str, work: Path) -> Submission:
    """The job, or its stand-in, with its script in the work tree."""
    folder = job_folder(work, token)
    script = folder / "advance.slurm"
    folder.mkdir(parents=True, exist_ok=True)
    path, output = (str((folder / name).relative_to(work)) for name in ("advance.slurm", "output"))
    script.write_bytes(_script(view, detached, path))
    return Submission(token, path, output, view.context.cluster.advance)


def _script(view: ExperimentView, detached: Detached, path: str) -> bytes:
    cluster, own = view.context.cluster, os.environ.get("XDG_CONFIG_HOME")  # where the configuration lies by which it submits others
    setup = [f"export XDG_CONFIG_HOME={shlex.quote(own)}"] if own else []
    # SLURM's commands are on its nodes, not in the image
    site = cluster.model_copy(update={"container": (), "setup": (*setup, *cluster.setup)})
    options = [*(["--sequential"] if detached.sequential else []), *(["--accept-missing"] if detached.accept_missing else [])]
    command = ("ckgit", "-C", str(view.lab.root), "advance", view.name, "--to", str(detached.to), "--detach", *options)
    return job_script(
        title=f"Takes experiment {view.name} on to {detached.to}.",
        script=path,
        resources=site.advance,
        cluster=site,
        inputs={},
        programs=("ckgit", "git"),
        commands=((*command, "--as", detached.token),),
    )
