"""retry: new attempts at jobs that failed, recorded before they are handed over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.classify import newest
from ckgit.experiment.design.compute import Resources
from ckgit.experiment.jobs import Attempt, Job
from ckgit.experiment.lifecycle import Event
from ckgit.jobs.folder import refuse_unwritable
from ckgit.lab.commit import CommitPlan
from ckgit.lab.history.hand_edits import refuse_edited
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.options import AdvanceOptions, RetryOptions, Selection
from ckgit.orchestrators.engine.orphans import refuse_orphans
from ckgit.orchestrators.engine.profile import check_profile
from ckgit.orchestrators.run import commits
from ckgit.orchestrators.run.attempts import AttemptOptions, JobCounts, count_jobs, detached_of
from ckgit.orchestrators.run.stage import StageJobs, check_ready, refuse_misled, stage_jobs
from ckgit.orchestrators.run.work_tree import find_work_tree, planned_ledger
from ckgit.orchestrators.scaffold.rerender import rendered_anew, wanted_batch, with_digests


class RetryPlan(NamedTuple):
    """New attempts at jobs that failed, ready to be committed."""

    step: CommitPlan
    jobs: Sequence[Job]
    before: Sequence[Attempt]  # whose jobs are ended first; of one that was declared lost nobody can ask that


def plan_retry(view: ExperimentView, options: AdvanceOptions) -> RetryPlan:
    """What retry would commit.

    Raises:
        CkgitError: nothing failed, what the jobs need is missing, or it would compare something else.
    """
    selection, resources = options.retry or RetryOptions()
    work = _stage(view)
    jobs = _selected(view, work, selection)
    count = count_jobs(view.attempts, jobs)
    if not count.failed or not view.ledger:
        raise _nothing_failed(view.name, count)
    check_profile(view)
    refuse_edited(view.snapshot)
    refuse_orphans(view.lab, view.name, frozenset(view.ledger.tokens), view.ledger.work_tree)
    failed = {attempt.job for attempt in count.failed}
    again = [job for job in jobs if job.name in failed]
    if view.ledger.work_tree:
        refuse_unwritable(tree := find_work_tree(view.ledger))
        check_ready(view, work, again, tree)
    before = newest(view.attempts)
    asked = {job.name: wanted for job in again if (wanted := _asked_for(before[job.name], job, resources))}
    batches = {job.name: batch for job in again if (batch := wanted_batch(view, job, before[job.name], resources))}
    anew = rendered_anew(view, work.workers, again, before, batches)
    files = with_digests(view, work.workers.values(), anew.files)
    tries = AttemptOptions(now(), before, resources=asked, batches=batches, files=files, notes=anew.notes)
    step = commits.submission(
        view,
        Event.RETRY,
        work.workers,
        again,
        planned_ledger(view),  # after a move to another cluster there is no work tree yet
        tries,
        detached=detached_of(view.name, options, view.ledger.detached, tries.time),
    )
    return RetryPlan(step, again, [attempt for attempt in count.failed if not attempt.declared_lost])


def _nothing_failed(name: str, count: JobCounts) -> CkgitError:
    return CkgitError(
        f"nothing failed: {len(count.done)} done, {len(count.open)} open, {len(count.unsubmitted)} not submitted",
        code=Exit.ILLEGAL_TRANSITION,
        where=name,
        state="nothing was changed",
        next=f"ckgit advance {name}",
    )


def _asked_for(before: Attempt, job: Job, resources: Resources) -> Resources | None:
    """The resources of a new try, where they are not those of the design."""
    last = before.resources or job.resources
    wanted = last.model_copy(update=resources.model_dump(exclude_none=True))
    return None if wanted == job.resources else wanted


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


def _selected(view: ExperimentView, work: StageJobs, selection: Selection) -> list[Job]:
    """The jobs of a stage that are meant.

    Raises:
        CkgitError: there is no such run or job, or it has no part in this stage.
    """
    found = [job for job in work.all if selection.means(job.name)]
    if found:
        return found
    runs = [run.name for run in view.context.plan.runs]
    jobs = [job.name for worker in work.workers.values() for job in worker.jobs(view.context)]
    if not selection.is_known(runs, jobs):
        raise selection.not_found(view.name, runs, jobs)
    raise CkgitError(
        f"{selection.named} has no part in {work.stage}, which comes next",
        code=Exit.ILLEGAL_TRANSITION,
        where=view.name,
        state="nothing was changed",
        next=f"ckgit status {view.name}",
    )
