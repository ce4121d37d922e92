"""What a command would write, submit and commit: the plan that it would carry out, shown instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ckgit.experiment.jobs import Attempt, Job, Ledger
from ckgit.experiment.outputs.planned import PlannedCommit, PlannedStep, PlannedSubmission
from ckgit.experiment.scheduler import JobState
from ckgit.experiment.state import State
from ckgit.jobs.folder import job_folder
from ckgit.lab.commit import preview
from ckgit.lab.context import load_context
from ckgit.lab.lab import Lab
from ckgit.orchestrators.commands.observe import Observer
from ckgit.orchestrators.commands.plan import plan
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import ExperimentView, check_at, open_as_for_update
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.run.attempts import chance
from ckgit.orchestrators.run.decisions import Commit, Continue, Decision, Finish, Poll, Refuse, Subject, Submit
from ckgit.orchestrators.run.monitor.monitor import Monitor
from ckgit.orchestrators.run.monitor.submission import groups, submission_of
from ckgit.orchestrators.run.stage import stage_jobs


def dry_run(lab: Lab, name: str, options: AdvanceOptions) -> PlannedStep:
    """What `advance` would do next. What comes after it depends on what the jobs leave.

    Raises:
        CkgitError: as `advance` itself.
    """
    view, told = open_as_for_update(lab, name)
    check_at(view, options.at)
    step = _next_step(view, options)
    return step.model_copy(update={"remarks": (*told, *step.remarks)})


def _next_step(view: ExperimentView, options: AdvanceOptions) -> PlannedStep:
    """What would be done from where an experiment stands."""
    observer = Observer(view, options, Events())
    decision = _decided(observer)
    if not isinstance(decision, Commit) or not decision.cluster:
        return _shown(observer, decision)
    first = preview(decision.commit)
    moved = Observer(_moved(observer.view, decision), options, Events(), begun=observer.view.snapshot.state, own=True)
    then, ledger = _shown(moved, _decided(moved)), moved.view.ledger
    if ledger and ledger.work_tree:
        return then.model_copy(update={"commits": (first, *then.commits)})
    return _after(first, observer.view, then)


def _decided(observer: Observer) -> Decision:
    """What `advance` would do, once it has asked whom it would ask at once.

    Raises:
        CkgitError: the plan is to refuse.
    """
    while True:
        decision = plan(observer.observe(), observer.options)
        if isinstance(decision, Refuse):
            raise decision.error
        if not isinstance(decision, Poll) or decision.after:
            return decision
        if decision.subject is Subject.CONTINUATION:
            observer.stage.look_at_continuation()
        else:
            observer.stage.open().poll()


def _moved(view: ExperimentView, move: Commit) -> ExperimentView:
    """An experiment as it would stand after a move to another cluster."""
    snapshot = replace(view.snapshot, known={**view.snapshot.known, **move.commit.files})
    return ExperimentView(view.lab, snapshot, load_context(view.lab, snapshot, cluster_name=move.cluster), snapshot.ledger())


def _after(move: PlannedCommit, view: ExperimentView, then: PlannedStep) -> PlannedStep:
    """Both commits, and the jobs; the new work tree is called by the first of these commits, which is not there yet."""
    submissions = [each.model_copy(update={"command": each.command.replace(view.snapshot.tip[:12], "COMMIT")}) for each in then.submissions]
    return then.model_copy(update={"submissions": tuple(submissions), "commits": (move, *then.commits)})


def _shown(observer: Observer, decision: Decision) -> PlannedStep:
    """A decision for people and programs."""
    view, monitor = observer.view, observer.stage.monitor if observer.follows else None
    commits, submissions, remarks = list[PlannedCommit](), list[PlannedSubmission](), list[str]()
    remarks += _waits(monitor) if monitor else []
    if isinstance(decision, Commit):
        commits, submissions, more = _recorded(view, decision, _pending(observer) if decision.jobs else [])
        remarks += [*more, *decision.remarks]
    elif isinstance(decision, Submit) and monitor and view.ledger:
        submissions = _would_submit(view, view.ledger, decision.submission.attempts, monitor.followed.jobs.values(), {})
        if observer.options.continuation and not view.ledger.detached:
            remarks.append(_going_on(view, observer.options.continuation.to))
    elif isinstance(decision, Continue) and view.ledger and view.ledger.detached:
        remarks.append(_going_on(view, view.ledger.detached.to))
    elif isinstance(decision, Finish) and not remarks:
        remarks.append(decision.result.message)
    return PlannedStep(
        experiment=view.name,
        lifecycle_state=view.snapshot.state,
        commits=tuple(commits),
        submissions=tuple(submissions),
        remarks=tuple(remarks),
    )


def _waits(monitor: Monitor) -> list[str]:
    """What is waited for of the jobs that are out."""
    remarks, seen = [], monitor.seen()
    for attempt in seen.open:
        status = seen.statuses.get(attempt.token)
        if damage := monitor.endings.damage.get(attempt.token):
            folder = job_folder(monitor.poller.work, attempt.token)
            remarks.append(f"would wait for {attempt.job}: gone, and {damage} ({folder}); a job that stays so counts as lost")
        elif status and status.state is not JobState.UNSEEN:
            remarks.append(f"would wait for {attempt.job}: {status.state}" + (f" ({status.detail})" if status.detail else ""))
    return remarks


def _pending(observer: Observer) -> Sequence[Attempt]:
    """What an earlier commit has asked for and nobody has handed over: it goes with what is asked for now."""
    if not observer.view.ledger or not observer.view.ledger.open():
        return []
    monitor = observer.stage.open()
    if not monitor.polled:
        monitor.poll()
    return monitor.seen().submission.attempts


def _recorded(
    view: ExperimentView, decision: Commit, pending: Sequence[Attempt]
) -> tuple[list[PlannedCommit], list[PlannedSubmission], list[str]]:
    """A commit, the jobs that would be handed over after it, and the one that would go on."""
    content = decision.commit.files.get(view.path("jobs.json"))
    ledger = Ledger.model_validate_json(content) if content else None
    before = {attempt.token for attempt in view.ledger.attempts} if view.ledger else set()
    new = [attempt for attempt in (ledger.attempts if ledger else ()) if attempt.token not in before]
    left = ledger.detached if ledger and ledger.detached and ledger.detached != (view.ledger and view.ledger.detached) else None
    drawn = [chance(token) for token in (*(attempt.token for attempt in new), *([left.token] if left else []))]
    shown = preview(decision.commit, drawn)
    jobs = [*decision.jobs, *stage_jobs(view).all] if pending else decision.jobs
    submissions = _would_submit(view, ledger, [*pending, *new], jobs, decision.commit.files) if ledger and new else []
    ended = [f"would end {attempt.job} ({attempt.token})" for group in (*decision.ends, *decision.replaces) for attempt in group]
    return [shown], [_without(each, drawn) for each in submissions], [*ended, *([_going_on(view, left.to)] if left else [])]


def _without(submission: PlannedSubmission, drawn: Iterable[str]) -> PlannedSubmission:
    """What is known of it beforehand: the parts of tokens that are drawn anew each time are not."""
    command = submission.command
    for each in drawn:
        command = command.replace(each, "TOKEN")
    return submission.model_copy(update={"command": command})


def _going_on(view: ExperimentView, to: State) -> str:
    """The job of ours that would be left behind."""
    asked = ", ".join(f"{name} {value}" for name, value in view.context.cluster.advance.model_dump(exclude_none=True).items())
    return f"then would submit a job of ckgit's own ({asked}) that waits for these, and takes {view.name} on to {to}"


def _would_submit(
    view: ExperimentView, ledger: Ledger, attempts: Sequence[Attempt], jobs: Iterable[Job], files: Mapping[str, bytes | None]
) -> list[PlannedSubmission]:
    """The hand-overs of attempts, in as many as they take.

    Args:
        files: what the commit before it writes.
    """
    cluster, work = view.context.cluster, Path(ledger.work_tree)
    named = {job.name: job for job in jobs}
    found = []
    for group in groups(attempts):
        paths = [named[attempt.job].script for attempt in group]
        scripts = [files.get(path) or view.snapshot.read(path) or b"" for path in paths]
        submissions = [submission_of(work, named[attempt.job], attempt) for attempt in group]
        command, answer = scheduler_for(cluster).dry_run(cluster, work, submissions, scripts[0])
        texts = tuple(script.decode(errors="replace") for script in scripts)
        found.append(PlannedSubmission(jobs=tuple(attempt.job for attempt in group), command=command, answer=answer, scripts=texts))
    return found
