"""What is recorded of an experiment's jobs, and which of them are to be run again."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.checks.run_names import choose_run
from ckgit.experiment.classify import newest
from ckgit.experiment.jobs import Attempt, Job, Phase
from ckgit.experiment.reproduction.record import Reproduction
from ckgit.experiment.results import CellResult, TrainingResult
from ckgit.experiment.stage import Stage
from ckgit.experiment.worker import Worker
from ckgit.lab.branches import last_recorded
from ckgit.lab.context import load_context
from ckgit.lab.git.trailers import newer_version
from ckgit.lab.history.reproductions import reproductions as at_commit
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.take import snapshot_at
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.plugins import worker_for
from ckgit.orchestrators.review.named import History, subjects


class RecordedJob(NamedTuple):
    """A job that is done, with what it left."""

    job: Job
    attempt: Attempt  # the one that counts
    worker: Worker
    results: Sequence[TrainingResult | CellResult]


class Chosen(NamedTuple):
    """What is to be run again."""

    view: ExperimentView  # at the last step of the experiment, with the profile by which it is run again
    jobs: Sequence[RecordedJob]  # training before evaluation
    runs: Sequence[str]
    sample_of: int | None = None  # how many runs these were drawn from


def reproductions(lab: Lab, target: str) -> tuple[Reproduction, ...]:
    """What second executions came to of the experiments that a name, branch, commit or range means. Asks no remote, and runs nothing.

    Raises:
        CkgitError: USAGE, there is no such thing.
    """
    found = [each for history in subjects(lab, [target], every=False) for each in at_commit(lab, history.experiment, history.commit)]
    return tuple(found)


def one_history(lab: Lab, target: str) -> History:
    """The experiment that is meant, also one that was merged and whose branch is gone.

    Raises:
        CkgitError: USAGE, there is none, or there are several.
    """
    found = subjects(lab, [target], every=False)
    if len(found) != 1:
        what = f"{target} means {len(found)} experiments"
        raise CkgitError(what, code=Exit.USAGE, state="nothing was run", next="name one; ckgit list shows all")
    return found[0]


def open_recorded(lab: Lab, history: History, cluster: str | None) -> ExperimentView:
    """The experiment as its last step left it; what was changed by hand since is no record of its jobs.

    Args:
        cluster: name of the profile by which jobs are run again; None for the one by which they were run.

    Raises:
        CkgitError: none of its jobs has run, its files cannot be read, there is no such profile; TOOL_MISSING, a newer ckgit made it.
    """
    at, step = last_recorded(lab.root, history.experiment, history.commit)
    if step and (newer := newer_version(history.experiment, step.version)):
        raise newer
    snapshot = snapshot_at(lab, history.experiment, at, step, at) if step else None
    ledger = snapshot.ledger() if snapshot else None
    if not snapshot or not ledger or not ledger.attempts:
        raise CkgitError(
            f"no job of {history.experiment} has run yet, so there is nothing to hold a second execution against",
            code=Exit.ILLEGAL_TRANSITION,
            state="nothing was run",
            next=f"ckgit advance {history.experiment}",
        )
    return ExperimentView(lab, snapshot, load_context(lab, snapshot, ledger, cluster_name=cluster or ledger.cluster), ledger)


def choose(view: ExperimentView, runs: Sequence[str], sample: int | None) -> Chosen:
    """Which jobs are to be run again: all that are done, of all runs, of some, or of a few that are drawn.

    They are drawn anew each time: who made the record must not know which.

    Raises:
        CkgitError: USAGE, there is no such run; EVIDENCE_MISSING, nothing of it is done, or what it left cannot be read.
    """
    known = [run.name for run in view.context.plan.runs]
    if unknown := next((run for run in runs if run not in known), None):
        raise CkgitError(f"{view.name} has no run {unknown!r}", code=Exit.USAGE, state="nothing was run", next=choose_run(unknown, known))
    if other := [run for run in runs if (kept := view.context.kept.get(view.context.plan.run(run).job)) and kept.experiment != view.name]:
        kept = view.context.kept[view.context.plan.run(other[0]).job]
        raise CkgitError(
            f"run {other[0]} was trained for {kept.experiment}, and taken over",
            code=Exit.USAGE,
            state="nothing was run",
            next=f"ckgit reproduce {kept.experiment}",
        )
    done = _done(view)
    able = [run for run in known if any(job.run == run for job, _, _ in done)]
    wanted = [run for run in able if run in runs] if runs else able
    if idle := [run for run in runs if run not in able] or ([] if able else known):
        raise CkgitError(
            f"no job of {', '.join(idle)} is done, so there is nothing to hold a second execution against",
            code=Exit.EVIDENCE_MISSING,
            where=view.name,
            state="nothing was run",
            next=f"ckgit status {view.name}",
        )
    drawn = sorted(random.SystemRandom().sample(wanted, sample), key=wanted.index) if sample and sample < len(wanted) else wanted
    jobs = [RecordedJob(job, attempt, worker, _results(view, worker, job, attempt)) for job, attempt, worker in done if job.run in drawn]
    return Chosen(view, jobs, drawn, len(wanted) if len(drawn) < len(wanted) else None)


def _done(view: ExperimentView) -> list[tuple[Job, Attempt, Worker]]:
    """Jobs that count, at least in part, training before evaluation. Of a run whose training does not count, nothing does."""
    latest = newest(view.attempts)
    workers = [worker for stage in Stage if (worker := worker_for(view.context.summary, stage))]
    jobs = [(job, latest[job.name], worker) for worker in workers for job in worker.jobs(view.context) if job.name in latest]
    done = [each for each in jobs if each[1].phase is Phase.DONE or any(not why for why in each[1].cells.values())]
    untrained = {job.run for job, attempt, _ in jobs if job.stage is Stage.TRAINING and attempt.phase is not Phase.DONE}
    kept = view.context.kept  # what was taken over is run again where it ran, by its own files
    elsewhere = {job.run for job, _, _ in jobs if job.name in kept and kept[job.name].experiment != view.name}
    return [each for each in done if each[0].run not in untrained | elsewhere]


def _results(view: ExperimentView, worker: Worker, job: Job, attempt: Attempt) -> Sequence[TrainingResult | CellResult]:
    files: Mapping[str, bytes] = view.snapshot.read_many(view.snapshot.list(view.context.run_folder(job.run)))
    try:
        found = worker.results(view.context, job, attempt, files)
        why = "" if found else "its log is not there"
    except (ValueError, CkgitError) as error:
        found, why = (), error.what if isinstance(error, CkgitError) else str(error)
    if not why:
        return found
    raise CkgitError(
        f"what {job.name} left cannot be read: {why}",
        code=Exit.EVIDENCE_MISSING,
        where=f"{view.name} at {view.snapshot.tip[:12]}",
        state="nothing was run",
        next=f"ckgit verify {view.name}",
    )
