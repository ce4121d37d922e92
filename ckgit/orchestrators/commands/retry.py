"""retry: new attempts at jobs that failed, recorded before they are handed over."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.checks.run_names import choose_run
from ckgit.experiment.design.compute import Resources
from ckgit.experiment.jobs import Attempt, Job
from ckgit.experiment.lifecycle import Event
from ckgit.formats.listing import choose
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import CommitPlan, ExperimentView, commit, open_experiment
from ckgit.orchestrators.engine.integrity import refuse_edited
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.orphans import refuse_orphans
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.engine.polling import run_to_end
from ckgit.orchestrators.engine.results import AdvanceResult
from ckgit.orchestrators.run import commits
from ckgit.orchestrators.run.attempts import AttemptOptions, count_jobs, latest_attempts
from ckgit.orchestrators.run.change_cluster import refuse_misled
from ckgit.orchestrators.run.detach import detached_of
from ckgit.orchestrators.run.run import run_stage
from ckgit.orchestrators.run.stage import StageJobs, check_ready, stage_jobs
from ckgit.orchestrators.run.work_tree import find_work_tree
from ckgit.orchestrators.scaffold.rerender import rendered_anew, wanted_batch

DESIGNED = Resources()  # nothing but what the design says


class Selection(NamedTuple):
    """Which jobs a command is about: all, those of one run, or one."""

    run: str | None = None
    job: str | None = None

    def of(self, work: StageJobs, view: ExperimentView) -> list[Job]:
        """The jobs of a stage that are meant.

        Raises:
            CkgitError: there is no such run or job, or it has no part in this stage.
        """
        found = [job for job in work.all if self.means(job.name)]
        if found:
            return found
        runs = [run.name for run in view.context.plan.runs]
        jobs = [job.name for worker in work.workers.values() for job in worker.jobs(view.context)]
        if not self.is_known(runs, jobs):
            raise self.not_found(view.name, runs, jobs)
        raise CkgitError(
            f"{self.named} has no part in {work.stage}, which comes next",
            code=Exit.USAGE,
            where=view.name,
            state="nothing was changed",
            next=f"ckgit status {view.name}",
        )

    def means(self, job: str) -> bool:
        """Whether a job of that name is meant."""
        return self.run in (None, job.partition("/")[0]) and self.job in (None, job)

    @property
    def named(self) -> str:
        """What was asked for."""
        return f"job {self.job}" if self.job else f"run {self.run}" if self.run else "the experiment"

    def is_known(self, runs: Collection[str], jobs: Collection[str]) -> bool:
        """Whether the experiment has such a run and such a job, whatever became of it."""
        return (self.run is None or self.run in runs) and (self.job is None or self.job in jobs)

    def not_found(self, name: str, runs: Sequence[str], jobs: Sequence[str]) -> CkgitError:
        """The error where an experiment has no such run or job: a slip of the pen."""
        no_run = self.run is not None and self.run not in runs
        known = choose_run(self.run or "", runs) if no_run else choose(self.job or "", jobs)
        return CkgitError(
            f"{name} has no {f'run {self.run}' if no_run else f'job {self.job}'}",
            code=Exit.USAGE,
            state="nothing was changed",
            next=known or f"ckgit status {name}",
        )


class RetryPlan(NamedTuple):
    """New attempts at jobs that failed, ready to be committed."""

    step: CommitPlan
    jobs: Sequence[Job]
    before: Sequence[Attempt]
    files: Mapping[str, bytes] = {}  # of the step: what the jobs read that is not as it was


def plan_retry(view: ExperimentView, selection: Selection, options: AdvanceOptions, resources: Resources = DESIGNED) -> RetryPlan:
    """What retry would commit.

    Args:
        resources: what to ask for instead of what the job, or its last attempt, asked for.

    Raises:
        CkgitError: nothing failed, what the jobs need is missing, or it would compare something else.
    """
    work = _stage(view)
    jobs = selection.of(work, view)
    count = count_jobs(view.ledger, jobs)
    if not count.failed or not view.ledger:
        name = view.name
        raise CkgitError(
            f"nothing failed: {len(count.done)} done, {len(count.open)} open, {len(count.unsubmitted)} not submitted",
            code=Exit.ILLEGAL_TRANSITION,
            where=name,
            state="nothing was changed",
            next=f"ckgit advance {name}",
        )
    refuse_edited(view.snapshot)
    refuse_orphans(view.lab, view.name, view.ledger)
    failed = {attempt.job for attempt in count.failed}
    again = [job for job in jobs if job.name in failed]
    check_ready(view, work, again, find_work_tree(view.ledger))
    before = latest_attempts(view.ledger)
    asked = {job.name: wanted for job in again if (wanted := _asked_for(before[job.name], job, resources))}
    batches = {job.name: batch for job in again if (batch := wanted_batch(view, job, before[job.name], resources))}
    anew = rendered_anew(view, work.workers, again, before, batches)
    tries = AttemptOptions(now(), before, resources=asked, batches=batches, files=anew.files, notes=anew.notes)
    step = commits.submission(
        view,
        Event.RETRY,
        work.workers,
        again,
        view.ledger,
        tries,
        detached=detached_of(view.name, options.leave, tries.time, by=options.token),
    )
    return RetryPlan(step, again, count.failed, anew.files)


def _asked_for(before: Attempt, job: Job, resources: Resources) -> Resources | None:
    """The resources of a new try, where they are not those of the design."""
    last = before.resources or job.resources
    wanted = last.model_copy(update=resources.model_dump(exclude_none=True))
    return None if wanted == job.resources else wanted


def retry(
    view: ExperimentView, selection: Selection, options: AdvanceOptions, events: Events, resources: Resources = DESIGNED
) -> AdvanceResult:
    """Submit again what failed, and see it to its end.

    Raises:
        CkgitError: nothing failed, or what the jobs need is missing.
    """
    planned = plan_retry(view, selection, options, resources)
    if view.ledger:  # a job that was cancelled, but not ended, writes to the same files as the new one
        _end(view, find_work_tree(view.ledger), planned.before)
    taken = commit(view, planned.step, events)
    return run_to_end(run_stage(open_experiment(view.lab, view.name), options, events, [taken]))


def _stage(view: ExperimentView) -> StageJobs:
    refuse_misled(view)
    work = stage_jobs(view)
    if not work.worker:
        raise CkgitError(
            f"the design names no tool for {work.stage}, so it has no jobs",
            code=Exit.ILLEGAL_TRANSITION,
            where=view.name,
            state="nothing was changed",
            next=f"ckgit advance {view.name}",
        )
    return work


def _end(view: ExperimentView, tree: Path, attempts: Sequence[Attempt]) -> None:
    scheduler_for(view.context.cluster).cancel(view.context.cluster, tree, attempts)
