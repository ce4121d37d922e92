"""What a command would write, submit and commit, found without doing any of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.experiment.design import State
from ckgit.experiment.jobs import Attempt, Job, Ledger
from ckgit.experiment.worker import Seen, Submission
from ckgit.orchestrators import steps
from ckgit.orchestrators.advance import check_target, still_step
from ckgit.orchestrators.again import Cancel
from ckgit.orchestrators.collect import Ended, job_files, read_status
from ckgit.orchestrators.place import refuse_misled
from ckgit.orchestrators.plugins import scheduler_for
from ckgit.orchestrators.run import STAGES, Follow, Stagework, Wish, check_ready, conclude, due_jobs, stagework, start_watch, submission
from ckgit.orchestrators.standing import Standing, Step, show
from ckgit.orchestrators.talk import Silent
from ckgit.orchestrators.worktree import find_work_tree, planned_ledger


class WouldSubmit(NamedTuple):
    """A job that would be handed over."""

    job: str
    command: str
    answer: str  # what the scheduler says to it; empty where it is not asked
    script: str


class Preview(NamedTuple):
    """What a command would do."""

    experiment: str
    state: State
    submit: Sequence[WouldSubmit]
    commit: str  # message and paths; empty when nothing would be committed now
    remarks: Sequence[str]


def preview(standing: Standing, wish: Wish, to: State | None) -> Preview:
    """What `advance` would do next. What comes after it depends on what the jobs leave.

    Raises:
        CkgitError: as `advance` itself.
    """
    state = standing.snapshot.state
    if to is state:
        return Preview(standing.name, state, [], "", [f"nothing to do: {standing.name} is {state}"])
    check_target(standing.name, state, to)
    if state not in STAGES:
        return preview_step(standing, still_step(standing), [])
    refuse_misled(standing)
    work = stagework(standing)
    if not work.worker or not work.jobs:
        return preview_step(standing, steps.nothing_to_do(standing, work.stage, work.worker, work.over), [])
    jobs = due_jobs(standing, work, wish)
    if not jobs:
        return _ending(standing, work, wish)
    ledger = planned_ledger(standing)
    if standing.ledger:
        check_ready(standing, work, jobs, find_work_tree(ledger))
    return preview_step(standing, submission(standing, work, wish, jobs, ledger), jobs, ledger)


def preview_step(standing: Standing, step: Step, jobs: Sequence[Job], ledger: Ledger | None = None) -> Preview:
    """A commit, and the jobs that would be handed over after it."""
    ledger = ledger or standing.ledger
    submit = [_would_submit(standing, ledger, job) for job in jobs] if ledger else []
    return Preview(standing.name, standing.snapshot.state, submit, show(standing, step), [])


def preview_cancel(standing: Standing, planned: Cancel) -> Preview:
    """A cancellation."""
    commit = show(standing, planned.step) if planned.step else ""
    return Preview(
        standing.name, standing.snapshot.state, [], commit, [f"would end {attempt.job} ({attempt.token})" for attempt in planned.attempts]
    )


def _would_submit(standing: Standing, ledger: Ledger, job: Job, attempt: Attempt | None = None) -> WouldSubmit:
    cluster, work = standing.context.cluster, Path(ledger.work_tree)
    token = attempt.token if attempt else f"ckgit.{standing.name}.{job.name.replace('/', '.')}.TOKEN"
    changed = attempt.resources if attempt else None
    output = (job_files(work, token) / "output").relative_to(work)
    submission = Submission(token, job.script, str(output), changed or job.resources, changed=changed is not None)
    script = standing.snapshot.read(job.script) or b""
    command, answer = scheduler_for(cluster).rehearse(cluster, work, submission, script)
    return WouldSubmit(job.name, command, answer, script.decode(errors="replace"))


def _ending(standing: Standing, work: Stagework, wish: Wish) -> Preview:
    """Jobs were submitted before: which are still out, or what would be committed of them."""
    remarks, submit = [], []
    watch = start_watch(standing, work, wish.run, Silent())
    follow = Follow(standing, work, wish, watch)
    for token, sighting in watch.scheduler.poll(watch.cluster, watch.work, watch.attempts).sightings.items():
        attempt = next(a for a in watch.attempts if a.token == token)
        status = read_status(watch.work, token)
        if status:
            watch.ended[token] = Ended(attempt, status, ending=sighting.ending)
        elif sighting.seen is Seen.UNSEEN and standing.ledger:
            submit.append(_would_submit(standing, standing.ledger, watch.jobs[attempt.job], attempt))
        else:
            remarks.append(f"would wait for {attempt.job}: {sighting.seen}")
    if watch.awaited:
        step = follow.meanwhile()
        return Preview(standing.name, standing.snapshot.state, submit, show(standing, step) if step else "", remarks)
    step, passage = conclude(standing, work, wish, follow.harvest())
    commit = show(standing, step) if step else ""
    return Preview(standing.name, standing.snapshot.state, [], commit, [passage.message] if passage.message else [])
