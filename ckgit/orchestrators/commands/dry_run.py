"""What a command would write, submit and commit, found without doing any of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import STAGES, Attempt, Job, Ledger
from ckgit.experiment.scheduler import JobState
from ckgit.jobs.folder import job_folder, read_status
from ckgit.lab.context import load_context
from ckgit.orchestrators.commands import cancel
from ckgit.orchestrators.commands.advance import check_target, still_step
from ckgit.orchestrators.commands.cancel import CancelPlan
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import CommitPlan, ExperimentView, show
from ckgit.orchestrators.engine.integrity import refuse_edited
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.run.attempts import chance
from ckgit.orchestrators.run.change_cluster import change_cluster
from ckgit.orchestrators.run.collect import EndedAttempt
from ckgit.orchestrators.run.detach import check_detachable
from ckgit.orchestrators.run.monitor.submission import groups, submission_of
from ckgit.orchestrators.run.observe import StageObserver
from ckgit.orchestrators.run.plan import Decision, Finish, Leave, Look, Record, Refuse, plan_stage


class WouldSubmit(NamedTuple):
    """A job that would be handed over, or an array of them."""

    jobs: Sequence[str]
    command: str
    answer: str  # what the scheduler says to it; empty where it is not asked
    scripts: Sequence[str]  # one a job

    def document(self) -> dict[str, str]:
        """For `--json`: all of it."""
        return {"job": ", ".join(self.jobs), "command": self.command, "answer": self.answer, "script": "\n".join(self.scripts)}


class DryRun(NamedTuple):
    """What a command would do."""

    experiment: str
    state: State | None  # None where the branch is gone
    submit: Sequence[WouldSubmit]
    commit: str  # message and paths; empty when nothing would be committed now
    remarks: Sequence[str]


def preview(view: ExperimentView, options: AdvanceOptions, to: State | None, cluster: str | None = None) -> DryRun:
    """What `advance` would do next. What comes after it depends on what the jobs leave.

    Args:
        cluster: name of the profile that is to take over, where it is another one.

    Raises:
        CkgitError: as `advance` itself.
    """
    if cluster and (step := change_cluster(view, cluster)):
        return _after_move(view, step, preview(_moved(view, step, cluster), options, to))
    state = view.snapshot.state
    if to is state:
        return DryRun(view.name, state, [], "", [f"nothing to do: {view.name} is {state}"])
    check_target(view.name, state, to)
    if options.detach:
        check_detachable(view.context.cluster)
    if state not in STAGES:
        return preview_step(view, still_step(view))
    refuse_edited(view.snapshot)
    observer = StageObserver(view, options, Events())
    decision = plan_stage(observer.observe(), options)
    if isinstance(decision, Look):
        return _after_a_look(observer)
    return _shown(view, decision)


def _shown(view: ExperimentView, decision: Decision) -> DryRun:
    """What is decided, for people.

    Raises:
        CkgitError: the plan is to refuse.
    """
    if isinstance(decision, Refuse):
        raise decision.error
    if isinstance(decision, Record):
        return preview_step(view, decision.commit, decision.jobs)
    message = decision.result.message if isinstance(decision, Finish) else ""
    return DryRun(view.name, view.snapshot.state, [], "", [message] if message else [])


def _moved(view: ExperimentView, step: CommitPlan, cluster: str) -> ExperimentView:
    """An experiment as it would stand after a move to another cluster."""
    snapshot = replace(view.snapshot, known={**view.snapshot.known, **step.files})
    return ExperimentView(view.lab, snapshot, load_context(view.lab, snapshot, cluster), snapshot.ledger())


def _after_move(view: ExperimentView, step: CommitPlan, then: DryRun) -> DryRun:
    """Both commits, and the jobs; the new work tree is called by the first of these commits, which is not there yet."""
    submit = [each._replace(command=each.command.replace(view.snapshot.tip[:12], "COMMIT")) for each in then.submit]
    return then._replace(submit=submit, commit="\n".join(filter(None, [show(view, step), then.commit])))


def preview_step(view: ExperimentView, step: CommitPlan, jobs: Sequence[Job] = ()) -> DryRun:
    """A commit, and the jobs that would be handed over after it."""
    content = step.files.get(view.path("jobs.json")) if jobs else None
    if not content:
        return DryRun(view.name, view.snapshot.state, [], show(view, step), [])
    ledger = Ledger.model_validate_json(content)
    before = {attempt.token for attempt in view.ledger.attempts} if view.ledger else set()
    new = [attempt for attempt in ledger.attempts if attempt.token not in before]
    drawn = {chance(token) for token in (*(attempt.token for attempt in new), *([ledger.detached.token] if ledger.detached else []))}
    submit = [each._replace(command=_without(each.command, drawn)) for each in _would_submit(view, ledger, new, jobs, step.files)]
    remarks = [_going_on(view, ledger.detached.to)] if ledger.detached else []
    return DryRun(view.name, view.snapshot.state, submit, _without(show(view, step), drawn), remarks)


def _without(text: str, drawn: Iterable[str]) -> str:
    """What is known beforehand of a text: the parts of tokens that are drawn anew each time are not."""
    for each in drawn:
        text = text.replace(each, "TOKEN")
    return text


def _going_on(view: ExperimentView, to: State) -> str:
    """The job of ours that would be left behind."""
    asked = ", ".join(f"{name} {value}" for name, value in view.context.cluster.advance.model_dump(exclude_none=True).items())
    return f"then would submit a job of ckgit's own ({asked}) that waits for these, and takes {view.name} on to {to}"


def preview_cancel(planned: CancelPlan) -> DryRun:
    """A cancellation."""
    snapshot = planned.found.snapshot
    state = snapshot.state if snapshot else None
    return DryRun(planned.found.name, state, [], cancel.show(planned), [f"would end {each}" for each in planned.named])


def _would_submit(
    view: ExperimentView, ledger: Ledger, attempts: Sequence[Attempt], jobs: Iterable[Job], files: Mapping[str, bytes | None]
) -> list[WouldSubmit]:
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
        texts = [script.decode(errors="replace") for script in scripts]
        found.append(WouldSubmit([attempt.job for attempt in group], command, answer, texts))
    return found


def _after_a_look(observer: StageObserver) -> DryRun:
    """Jobs were submitted before: which are still out, or what would be committed of them."""
    view, options, monitor = observer.view, observer.options, observer.open()
    remarks, unseen = [], []
    for token, job_status in monitor.scheduler.poll(monitor.cluster, monitor.work, monitor.attempts).statuses.items():
        attempt = next(a for a in monitor.attempts if a.token == token)
        monitor.statuses[token] = job_status
        try:
            status, seen = read_status(monitor.work, token), str(job_status.state)
        except (ValueError, OSError) as error:
            status, seen = None, f"{job_status.state}, and {error} ({job_folder(monitor.work, token)}); a job that stays so counts as lost"
        if status:
            monitor.ended[token] = EndedAttempt(attempt, status, ending=job_status.ending)
        elif job_status.state is JobState.UNSEEN:
            unseen.append(attempt)
        else:
            remarks.append(f"would wait for {attempt.job}: {seen}")
    decision = plan_stage(observer.observe(), options)
    if not isinstance(decision, Look | Leave) and not monitor.awaited:
        return _shown(view, decision)
    submit = _would_submit(view, view.ledger, unseen, monitor.jobs.values(), {}) if view.ledger else []
    if options.detach and view.ledger and not view.ledger.detached:
        remarks.append(_going_on(view, options.detach))
    text = show(view, decision.commit) if isinstance(decision, Record) else ""
    return DryRun(view.name, view.snapshot.state, submit, text, remarks)
