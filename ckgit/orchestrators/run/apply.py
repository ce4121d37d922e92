"""Carrying out what was decided: commits, and what is handed over to the scheduler. Nothing is decided here.

Intent first, in a commit; then the hand-over; then the wait; then the judgement, in a commit. Each part begins with what
the branch and the scheduler say, so it does not matter which process did the part before, or whether it lived to its end.
What only jobs need is imported where there are some.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.jobs import Attempt, FailureClass
from ckgit.experiment.outputs.events import Noted
from ckgit.experiment.scheduler import JobStatus
from ckgit.lab.remotes import authority
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import ExperimentView, RecordedCommit, check_unmoved, commit_and_tell, open_experiment
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.run.decisions import Commit, Continue, Secure, Submit

if TYPE_CHECKING:
    from ckgit.orchestrators.run.observe import StageObserver


def apply_commit(view: ExperimentView, decision: Commit, events: Events) -> RecordedCommit:
    """Make a commit: the work tree is there before the intent to run jobs in it is committed.

    Raises:
        CkgitError: someone else moved the branch, or the work tree cannot be made.
    """
    ledger = view.ledger
    if decision.jobs and not (ledger and ledger.work_tree):
        from ckgit.orchestrators.run.stage import check_ready, stage_jobs
        from ckgit.orchestrators.run.work_tree import make_work_tree

        made = make_work_tree(view)
        check_ready(view, stage_jobs(view), decision.jobs, Path(made.work_tree))
    for remark in decision.remarks:
        events.emit(Noted(experiment=view.name, text=remark))
    _end(view, decision.ends)
    recorded = commit_and_tell(view.lab, decision.commit, events)
    if decision.cluster:
        from ckgit.orchestrators.run.change_cluster import bring_scripts

        bring_scripts(open_experiment(view.lab, view.name))
    _end(view, decision.replaces)  # a job that is not in the ledger any more does nothing, should it start meanwhile
    return recorded


def _end(view: ExperimentView, groups: Sequence[Sequence[Attempt]]) -> None:
    cluster, ledger = view.context.cluster, view.ledger
    for attempts in groups if ledger and ledger.work_tree else ():
        scheduler_for(cluster).cancel(cluster, Path(ledger.work_tree if ledger else ""), attempts)


def prepare(observer: StageObserver) -> None:
    """Have everything in its place before the first job can be handed over: the authority has the intent, the work tree the files."""
    from ckgit.orchestrators.run.work_tree import lead_models
    from ckgit.orchestrators.scaffold.rerender import bring

    view, monitor = observer.view, observer.open()
    if monitor.brought:
        return
    authority.push(view.lab, view.name, view.snapshot.tip)
    lead_models(view, monitor.poller.work)
    followed = monitor.followed
    if retried := [followed.jobs[attempt.job] for attempt in followed.attempts if attempt.number > 1]:
        bring(view, observer.work.workers, retried, monitor.poller.work)
    monitor.brought = True


def hand_over_to_scheduler(observer: StageObserver, decision: Submit | Continue | Secure) -> None:
    """Submit jobs, the job of ours that goes on, or its stand-in.

    Raises:
        CkgitError: the job that is to go on was refused.
        BranchMoved: someone else moved the branch meanwhile.
    """
    from ckgit.orchestrators.run.continuation.job import hand_over, secure

    view, monitor = observer.view, observer.open()
    detached = view.ledger.detached if view.ledger else None
    if isinstance(decision, Submit):
        monitor.hand_over()
        check_unmoved(view)
    elif isinstance(decision, Continue) and detached:
        status = hand_over(view, detached, monitor.poller.work, decision.after, any_of=decision.any_of, delay=decision.delay)
        _refuse_refused(view, status)
        observer.note_continuation(status, answered=True)
    elif isinstance(decision, Secure) and detached:
        secure(view, detached, monitor.poller.work, decision.job_id)
        observer.note_secured()


def _refuse_refused(view: ExperimentView, status: JobStatus) -> None:
    if status.ending and status.ending.failure is FailureClass.REFUSED:
        raise CkgitError(
            f"the job that is to go on was refused: {status.ending.sentence}",
            code=Exit.COMMAND_FAILED,
            where=view.name,
            state="its other jobs are in flight",
            next=f"mend `advance` in the cluster profile, or wait for the jobs: ckgit advance {view.name}",
        )
