"""What a command would write, submit and commit, found without doing any of it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from ckgit.experiment.design import State
from ckgit.experiment.jobs import Job, Ledger
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.worker import Seen
from ckgit.orchestrators import steps
from ckgit.orchestrators.advance import check_target, still_step
from ckgit.orchestrators.again import Cancel
from ckgit.orchestrators.attempts import tally
from ckgit.orchestrators.collect import Ended, read_status
from ckgit.orchestrators.logs import now
from ckgit.orchestrators.run import STAGES, Stagework, Wish, check_ready, conclude, judged_of, stagework, start_watch
from ckgit.orchestrators.standing import Standing, Step, show
from ckgit.orchestrators.talk import Silent
from ckgit.orchestrators.worktree import find_work_tree, planned_ledger


class WouldSubmit(NamedTuple):
    """A job that would be handed over."""

    job: str
    command: str


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
    work = stagework(standing)
    if not work.worker or not work.jobs:
        return preview_step(standing, steps.nothing_to_do(standing, work.stage, work.worker, work.over), [])
    jobs = tally(standing.ledger, work.selected(wish.run)).unsubmitted
    if not jobs:
        return _ending(standing, work, wish)
    ledger = planned_ledger(standing)
    if standing.ledger:
        check_ready(standing, work.worker, jobs, find_work_tree(ledger))
    return preview_step(standing, steps.submission(standing, Event.SUBMIT, work.worker, jobs, ledger, time=now()), jobs, ledger)


def preview_step(standing: Standing, step: Step, jobs: Sequence[Job], ledger: Ledger | None = None) -> Preview:
    """A commit, and the jobs that would be handed over after it."""
    ledger = ledger or standing.ledger
    submit = [WouldSubmit(job.name, _command(ledger, job)) for job in jobs] if ledger else []
    return Preview(standing.name, standing.snapshot.state, submit, show(standing, step), [])


def preview_cancel(standing: Standing, planned: Cancel) -> Preview:
    """A cancellation."""
    commit = show(standing, planned.step) if planned.step else ""
    return Preview(
        standing.name, standing.snapshot.state, [], commit, [f"would end {attempt.job} ({attempt.token})" for attempt in planned.attempts]
    )


def _command(ledger: Ledger, job: Job) -> str:
    return f"cd {shlex.quote(ledger.work_tree)} && bash {shlex.quote(job.script)}"


def _ending(standing: Standing, work: Stagework, wish: Wish) -> Preview:
    """Jobs were submitted before: which are still out, or what would be committed of them."""
    remarks, submit = [], []
    watch = start_watch(standing, work, wish.run, Silent())
    for token, sighting in watch.scheduler.poll(standing.context.cluster, watch.work, [a.token for a in watch.attempts]).items():
        attempt = next(a for a in watch.attempts if a.token == token)
        status = read_status(watch.work, token)
        if status:
            watch.ended[token] = Ended(attempt, status)
        elif sighting.seen is Seen.UNSEEN and standing.ledger:
            submit.append(WouldSubmit(attempt.job, _command(standing.ledger, watch.jobs[attempt.job])))
        else:
            remarks.append(f"would wait for {attempt.job}: {sighting.seen}")
    if watch.awaited:
        return Preview(standing.name, standing.snapshot.state, submit, "", remarks)
    step, passage = conclude(standing, work, wish, judged_of(standing, work, watch))
    commit = show(standing, step) if step else ""
    return Preview(standing.name, standing.snapshot.state, [], commit, [passage.message] if passage.message else [])
