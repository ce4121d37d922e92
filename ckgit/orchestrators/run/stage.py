"""A stage of an experiment: which jobs it has, which of them are to be submitted now, how they are submitted, what stands against it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.classify import newest
from ckgit.experiment.cluster import elsewhere
from ckgit.experiment.jobs import Attempt, Job, Ledger
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.results import MANIFEST
from ckgit.experiment.stage import STAGES, Stage
from ckgit.experiment.worker import Worker
from ckgit.formats.listing import first_of, in_words
from ckgit.lab.commit import CommitPlan
from ckgit.lab.models.links import as_led
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.plugins import scheduler_for, worker_for
from ckgit.orchestrators.run import commits
from ckgit.orchestrators.run.attempts import AttemptOptions, count_jobs, detached_of, passed_over
from ckgit.orchestrators.run.commits import NOTHING, Collected
from ckgit.orchestrators.run.work_tree import moved_models


class StageJobs(NamedTuple):
    """A stage of an experiment: who does it, and its jobs."""

    stage: Stage
    worker: Worker | None  # None when the design names no tool for it
    jobs: Sequence[Job]  # those that can be run
    over: Sequence[Job]  # those that cannot, as the training of their run was passed over
    ahead: Sequence[Job] = ()  # evaluations, while the stage is training: each may start when its run is trained
    workers: Mapping[Stage, Worker] = {}

    @property
    def all(self) -> Sequence[Job]:
        """The jobs of the stage, and those that may be run ahead of theirs."""
        return [*self.jobs, *self.ahead]

    def selected(self, run: str | None) -> Sequence[Job]:
        """The jobs of one run, or all."""
        return [job for job in self.jobs if run in (None, job.run)]


def stage_jobs(view: ExperimentView) -> StageJobs:
    """The stage that comes next.

    Raises:
        CkgitError: no stage is run from this state, or its worker is not installed.
    """
    state = view.snapshot.state
    if state not in STAGES:
        raise CkgitError(
            f"{view.name} is {state}; jobs run when it is {' or '.join(STAGES)}",
            code=Exit.ILLEGAL_TRANSITION,
            state="nothing was changed",
            next=f"ckgit status {view.name}",
        )
    stage = STAGES[state]
    workers = {each: worker for each in Stage if (worker := worker_for(view.context.summary, each))}
    jobs = {each: worker.jobs(view.context) for each, worker in workers.items()}
    mine = jobs.get(stage, [])
    over = passed_over(mine, view.attempts, view.ledger.accepted_missing if view.ledger else ())
    ahead = jobs.get(Stage.EVALUATION, []) if stage is Stage.TRAINING else []
    return StageJobs(stage, workers.get(stage), [job for job in mine if job not in over], over, ahead, workers)


def due_jobs(view: ExperimentView, work: StageJobs, options: AdvanceOptions, attempts: Sequence[Attempt]) -> list[Job]:
    """Jobs that are to be submitted now: the stage's own, and evaluations whose run is trained, or needs no training.

    Args:
        attempts: of the branch's ledger, with what is known since.
    """
    own = list(count_jobs(attempts, work.selected(options.run)).unsubmitted)
    if options.sequential or not scheduler_for(view.context.cluster).overlaps:
        return own
    waiting = {job.run for job in work.jobs} - {attempt.job.partition("/")[0] for attempt in count_jobs(attempts, work.jobs).done}
    ahead = [job for job in work.ahead if job.run not in waiting and options.run in (None, job.run)]
    return [*own, *count_jobs(attempts, ahead).unsubmitted]


def submission(
    view: ExperimentView, work: StageJobs, options: AdvanceOptions, jobs: Sequence[Job], ledger: Ledger, collected: Collected = NOTHING
) -> CommitPlan:
    """The intent to run jobs, with what others left until now."""
    cluster = view.context.cluster
    array = min(cluster.max_array_size, max((cluster.max_submit or cluster.max_array_size) // 2, 1)) if cluster.arrays else 1
    tries = AttemptOptions(now(), newest(ledger.attempts), array)
    detached = detached_of(view.name, options, ledger.detached, tries.time)
    return commits.submission(view, Event.SUBMIT, work.workers, jobs, ledger, tries, collected=collected, detached=detached)


def check_ready(view: ExperimentView, work: StageJobs, jobs: Sequence[Job], tree: Path) -> None:
    """Raise when a job lacks what it needs. Links to models that were moved are led anew before jobs are handed over, and not here.

    Raises:
        CkgitError: EVIDENCE_MISSING, with the reasons.
    """
    reasons = [f"{run}: {reason}" for run, reason in retrained(view, jobs, tree).items()]
    folders, nowhere = moved_models(view, tree)
    with as_led(tree, folders) as seen:
        reasons += [f"{job.name}: {reason}" for job in jobs for reason in work.workers[job.stage].ready(view.context, job, seen)]
    if reasons:
        reasons = [nowhere.what, *reasons] if nowhere else reasons
        raise CkgitError(
            "\n  ".join(["these jobs cannot start:", *first_of(reasons, more="more reasons")]),
            code=Exit.EVIDENCE_MISSING,
            state="nothing was submitted",
            next=nowhere.next if nowhere else "mend this, then run the same command again",
        )


def retrained(view: ExperimentView, jobs: Iterable[Job], tree: Path) -> Mapping[str, str]:
    """Runs whose checkpoints are not those that their training committed, with the reason.

    Args:
        jobs: evaluations; those of checkpoints are looked at.
    """
    context, name = view.context, view.name
    folders = {job.run: context.run_folder(job.run) for job in jobs if job.epoch is not None or job.checkpoint}
    committed = view.snapshot.read_many(f"{folder}/{MANIFEST}" for folder in folders.values())
    reasons = {}
    for run, folder in folders.items():
        file = tree / context.artifacts(run) / MANIFEST
        content = committed.get(f"{folder}/{MANIFEST}")
        if content is not None and (not file.is_file() or file.read_bytes() != content):
            reasons[run] = (
                f"{file.relative_to(tree)} is not what training committed: the checkpoints beside it are of another training; "
                f"bring them back, or train anew: ckgit revise {name} --anew, then ckgit advance {name}"
            )
    return reasons


def refuse_misled(view: ExperimentView) -> None:
    """Raise where the profile points elsewhere than to where jobs are that may still run: it would find none of them, and call them lost.

    Raises:
        CkgitError: USAGE, with what has changed and the jobs.
    """
    ledger = view.ledger
    what = elsewhere(view.context.cluster, ledger.model_dump()) if ledger and _out(ledger) else ""
    if not ledger or not what:
        return
    jobs, name = _out(ledger), view.name
    raise CkgitError(
        f"cluster profile {ledger.cluster} points elsewhere than to where jobs are out ({what}): {in_words(jobs)}",
        code=Exit.USAGE,
        where=name,
        state="nothing was changed, and the jobs go on",
        next=f"put the profile back until they have ended, or until they are cancelled: ckgit cancel {name}, and ckgit retry {name} then",
    )


def _out(ledger: Ledger) -> list[str]:
    """Names of the jobs that may still run."""
    return [*(attempt.job for attempt in ledger.open()), *(["advance"] if ledger.detached else [])]
